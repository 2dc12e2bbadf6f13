"""Everything that requests share."""

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Thread
from typing import Annotated

from fastapi import Depends, Request

from sora_video.base.unfinished import sweep

from .alerts import Alerts
from .duplicates import Duplicates
from .encoders import Encoders
from .ended import Ended
from .jobs.folder import FolderWatch
from .jobs.runner import Runner
from .jobs.store import Jobs
from .maps import Maps
from .media.media import Media
from .metrics import GaugeMetricFamily, Metrics
from .pool import Pool
from .runs import Runs
from .secret import kept_secret
from .served import ServedLibrary
from .sessions import Sessions
from .settings import Settings

__all__ = ["Service", "ServiceDep"]


class Service:
    """What a server holds while it runs.

    Args:
        settings: of the server.

    Raises:
        ConfigError: the files of its secrets can be read by others.
        LibraryError: there is no such library.
        StorageError: its folder cannot be written.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.key = kept_secret(settings.state / "key")
        self.token = kept_secret(settings.state / "token") if settings.needs_token else None
        ended = Ended(settings.state / "ended")
        self.sessions = None if self.token is None else Sessions(self.token, self.key, ended)
        self.library = ServedLibrary(settings.library, self.key)
        self.encoders = Encoders(settings.uploads.reading)
        # a search is mostly Python, which computes in one thread at a time; FAISS takes more where it pays
        self.searching = Pool("search", 1, 200)
        self.embedding = Pool("embedding", 2, 20)
        self.receiving = Pool("uploads", 4, 20)
        self.reading = Pool("words", 2, 100)
        self.making = Pool("media", 2, 200)
        self.cutting = Pool("cuts", 1, 20)
        self.copying = Pool("previews", 1, 20)
        self.comparing = Pool("duplicates", 1, 5)
        self.duplicates = Duplicates(self.comparing)
        self.telling = Pool("events", 1, 200)
        self.writing = Pool("changes", 1, 100)
        self.previews: dict[Path, asyncio.Task[Path]] = {}
        self.media = Media(settings)
        self.jobs = Jobs(settings.state / "jobs.sqlite")
        self.runner = Runner(settings, self.jobs)
        self.maps = Maps(settings.state)
        self.folder = (
            FolderWatch(
                settings.videos,
                lambda: self.library.now().listing,
                self.jobs.add,
                takes_away=settings.takes_away,
            )
            if settings.follows and settings.videos
            else None
        )
        self.alerts, self.runs, self.streams = Alerts(settings.events), Runs(settings.runs, self.key), 0
        self.is_stopping: Callable[[], bool] = lambda: False
        self.metrics = Metrics(self.look)

    @property
    def pools(self) -> tuple[Pool, ...]:
        """The kinds of work, each with threads of its own: what takes long keeps nothing else waiting."""
        quick = (self.searching, self.reading, self.making, self.writing)
        slow = (self.embedding, self.receiving, self.cutting, self.copying, self.comparing)
        return (*quick, self.telling, *slow)

    def roots(self) -> Iterator[str | Path]:
        """Folders that no answer may name."""
        settings = self.settings
        yield from (settings.state, settings.library, Path.cwd(), Path.home())
        places = (settings.head, settings.videos, settings.events, settings.runs)
        yield from (path for path in places if path)
        served = self.library.served
        yield from served.__dict__.get("roots", ())

    def look(self) -> Iterator[GaugeMetricFamily]:
        """Numbers of the library, of media and of work, as they are now."""
        library = self.library.served.library
        yield GaugeMetricFamily("sora_library_slices", "Slices that can be searched.", len(library))
        yield GaugeMetricFamily("sora_library_damage", "Damaged files.", len(library.damage))
        yield GaugeMetricFamily("sora_media_cache_bytes", "Of media that were made.", self.media.cache.bytes)
        calls = GaugeMetricFamily("sora_pool_calls", "Calls that run or wait.", labels=("pool",))
        for pool in self.pools:
            calls.add_metric([pool.name], pool.calls)
        yield calls

    def start(self) -> None:
        """Begin to work on jobs, and to look at the folder of videos."""
        sweep(self.settings.uploads_folder)
        self.runner.start()
        Thread(target=self.library.served.library.warm, name="tables", daemon=True).start()
        if self.folder is not None:
            self.folder.start()

    def close(self) -> None:
        """Take no more work."""
        if self.folder is not None:
            self.folder.stop()
        self.runner.stop()
        for pool in self.pools:
            pool.close()


def service_of(request: Request) -> Service:
    """The service of a request's server."""
    service: Service = request.app.state.service
    return service


ServiceDep = Annotated[Service, Depends(service_of)]
"""Parameter of a route: the service."""
