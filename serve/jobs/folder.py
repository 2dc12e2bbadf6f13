"""Keeps a library as its folder of videos is: files are added once they are at rest."""

import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sora_video.base.errors import CorpusError, SoraError
from sora_video.index.info import VideoInfo
from sora_video.pretrain.video.corpus import open_corpus

__all__ = ["FolderWatch"]

log = logging.getLogger("sora_video.serve")
REST_S = 10.0
"""Seconds that a file must not change before it is added: it may still be written."""
LOOK_S = 5.0

Stamp = tuple[int, int]
"""Size and time of change of a file."""


class FolderWatch:
    """Looks at a folder again and again, and asks for jobs.

    Args:
        folder: of the library's videos.
        listing: gives the library's videos.
        ask: adds a job of a kind, with what it is to do.
        takes_away: whether videos whose files are gone are removed.
    """

    def __init__(
        self,
        folder: Path,
        listing: Callable[[], list[VideoInfo]],
        ask: Callable[[str, dict[str, Any]], object],
        *,
        takes_away: bool,
    ) -> None:
        self.folder, self.listing, self.ask, self.takes_away = folder, listing, ask, takes_away
        self.since: dict[str, tuple[Stamp, float]] = {}
        """Files as they are, and since when."""
        self.asked: dict[str, Stamp] = {}
        """Files for which an addition was asked, as they were then."""
        self.gone: set[str] = set()
        """Videos for which a removal was asked."""
        self.stopping = threading.Event()

    def start(self) -> None:
        """Look now and then, in a thread, until :meth:`stop`."""
        threading.Thread(target=self.run, name="folder", daemon=True).start()

    def stop(self) -> None:
        """Look no more."""
        self.stopping.set()

    def run(self) -> None:
        """Look until the server stops."""
        while not self.stopping.wait(LOOK_S):
            try:
                self.look(time.monotonic())
            except Exception:  # what fails once may work the next time
                log.exception("the folder of videos was not looked at")

    def look(self, now_s: float) -> None:
        """Look once, and ask for what has to be done.

        Args:
            now_s: seconds of a clock that does not go back.
        """
        stamps = self.stamps()
        self.since = {
            name: self.since[name] if name in self.since and self.since[name][0] == stamp else (stamp, now_s)
            for name, stamp in stamps.items()
        }
        rested = [
            name
            for name, (stamp, since_s) in self.since.items()
            if now_s - since_s >= REST_S and self.asked.get(name) != stamp
        ]
        if rested:
            self.ask("add", {"video_ids": rested})
            self.asked |= {name: stamps[name] for name in rested}
        if self.takes_away and stamps:  # without any video its disk may not be mounted
            self.take_away(stamps)

    def take_away(self, stamps: dict[str, Stamp]) -> None:
        """Ask for the removal of videos whose files are gone from the folder."""
        root = str(self.folder.absolute())
        try:
            held = {video.video_id: below(root, video) for video in self.listing() if video.source == root}
        except SoraError:
            return
        self.gone &= held.keys()
        missing = {name: path for name, path in held.items() if path not in stamps and name not in self.gone}
        gone = sorted(name for name, path in missing.items() if not is_below_nothing(self.folder / path))
        if gone:
            self.ask("remove", {"video_ids": gone, "purge": False, "ignore": False})
            self.gone |= set(gone)
            for name in gone:
                self.asked.pop(name, None)

    def stamps(self) -> dict[str, Stamp]:
        """The files that are there."""
        found: dict[str, Stamp] = {}
        try:
            videos = open_corpus(self.folder).videos
        except CorpusError:
            return found
        for video in videos:
            try:
                status = video.path.stat()
            except OSError:
                continue
            found[video.video_id] = status.st_size, status.st_mtime_ns
        return found


def below(root: str, video: VideoInfo) -> str:
    """Where a video's file is below its folder; its name may have more before that."""
    path = Path(video.path or video.video_id)
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else video.video_id


def is_below_nothing(path: Path) -> bool:
    """Whether the nearest folder of a missing file that is there is empty, as where a disk is not mounted."""
    folder = next(parent for parent in path.parents if parent.is_dir())
    return not any(folder.iterdir())
