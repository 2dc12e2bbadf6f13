"""A Python client, whose answers are those of the local functions."""

import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from sora_video.base.errors import ConfigError, SoraError
from sora_video.index.duplicates import AGREE as DUPLICATES_AGREE
from sora_video.index.duplicates import COVER, THRESHOLD, Group
from sora_video.index.example import Example
from sora_video.index.info import VideoInfo
from sora_video.index.query import AGREE
from sora_video.index.search.search import Hit
from sora_video.index.several import check_examples
from sora_video.index.store.attributes import Attributes, Value
from sora_video.index.store.filters import Where

from .connection import Connection
from .multipart import Multipart
from .parts import asked_of, files_of, group_of, hits_in, how_of, summary_of, words_of
from .work_client import WorkClient

if TYPE_CHECKING:
    from sora_video.pretrain.training.run.summary import RunReport, RunSummary

__all__ = ["Client"]

PAGE = 1000
"""Videos of a page of the list."""
LOOK_S = 1.0


class Client(WorkClient):
    """Asks a server that `sora serve` runs.

    Args:
        url: of the server, such as ``http://127.0.0.1:8000``.
        token: of the server, where it asks for one.
        timeout_s: most seconds without an answer.

    Raises:
        ConfigError: the address is none of http or https.
    """

    def __init__(self, url: str, token: str | None = None, timeout_s: float = 300.0) -> None:
        self.url, self.timeout_s = url, timeout_s
        super().__init__(Connection(url, token, timeout_s))

    def search(
        self,
        example: Example | Sequence[Example],
        *,
        top: int = 10,
        exclude: Collection[str] = (),
        where: Where | None = None,
        agree: bool = AGREE,
    ) -> list[Hit]:
        """Find what :func:`sora_video.index.localize.localize` finds by an example, or by several at once.

        Args:
            example: a file, folder or table of this machine, which is sent; or a slice, or words. Several are
                searched for at once, see :func:`sora_video.index.several.query_by_examples`: videos, images
                and slices, or words.
            top: see :class:`sora_video.index.query.Query`.
            exclude: see there.
            where: see there.
            agree: see there.

        Returns:
            Hits, best first.

        Raises:
            SoraError: the server refused the request, or cannot be reached.
        """
        examples = [example] if isinstance(example, Example) else [*example]
        check_examples(examples)
        if len(examples) > 1 and any(each.is_vectors for each in examples):
            raise ConfigError("examples: a server takes embeddings alone; search for them by themselves")
        for each in examples:
            if each.model is not None:
                raise ConfigError(
                    f"model={each.model}: the server searches with its library's own; leave it out"
                )
        how = how_of(top, exclude, where, examples[0].by, agree)
        if any(each.is_video or each.is_folder for each in examples):
            return hits_in(self._send_files(examples, how))
        asked = [asked_of(each) for each in examples]
        body = asked[0] if len(asked) == 1 else {"several": asked}
        return hits_in(self._server.ask("POST", "/api/v1/search", {**body, **how}))

    def search_span(
        self,
        video_id: str,
        start_s: float | None = None,
        end_s: float | None = None,
        *,
        top: int = 10,
        exclude: Collection[str] = (),
        where: Where | None = None,
        by: str | None = None,
        agree: bool = AGREE,
    ) -> list[Hit]:
        """Find what is like a span of a video of the library, whose file the server has.

        Args:
            video_id: its name.
            start_s: start of the span in seconds; None: the video's.
            end_s: end of the span in seconds; None: the video's.
            top: see :meth:`search`.
            exclude: see there; the video itself is found unless it is named here.
            where: see there.
            by: aspect to compare by alone; None: all.
            agree: see :meth:`search`.

        Raises:
            SoraError: the server refused the request, or cannot be reached.
        """
        span = {"video_id": video_id, "start_s": start_s, "end_s": end_s}
        how = how_of(top, exclude, where, by, agree)
        return hits_in(self._server.ask("POST", "/api/v1/search", {**span, **how}))

    def list_videos(self, where: Where | None = None) -> list[VideoInfo]:
        """The videos of the library, by name; servers do not tell where their files are.

        Args:
            where: only those of which a slice passes this filter; None: all.

        Raises:
            SoraError: the server refused the request, or cannot be reached.
        """
        return [*self._videos(where)]

    def _videos(self, where: Where | None) -> Iterator[VideoInfo]:
        """The same, page by page."""
        offset, total = 0, 1
        while offset < total:
            words = [("where", word) for word in words_of(where)]
            query = urlencode([*words, ("offset", offset), ("limit", PAGE)])
            page = self._server.ask("GET", f"/api/v1/videos?{query}")
            total = page["total"]
            offset += PAGE
            for video in page["videos"]:
                del video["media_id"], video["duration_s"]
                yield VideoInfo(source=None, path=None, **video)

    def attributes(self, video_id: str) -> Attributes:
        """The attributes of a video.

        Args:
            video_id: its name.

        Raises:
            SoraError: the library has no such video, or the server cannot be reached.
        """
        found: Attributes = self._server.ask("GET", f"/api/v1/attributes?video_id={quote(video_id, safe='')}")
        return found

    def set_attributes(self, changes: Mapping[str, Mapping[str, Value | None]]) -> None:
        """Edit attributes of videos, all of them or none; see :meth:`sora_video.Library.set_attributes`.

        Args:
            changes: by video, the values to set by name; None takes an attribute away.

        Raises:
            SoraError: the server refused the change, or cannot be reached.
        """
        self._server.ask(
            "POST", "/api/v1/attributes", {"changes": {name: dict(one) for name, one in changes.items()}}
        )

    def find_duplicates(
        self,
        threshold: float = THRESHOLD,
        cover: float = COVER,
        normalize: bool = True,
        *,
        by: str | None = None,
        agree: bool = DUPLICATES_AGREE,
    ) -> list[Group]:
        """Groups of near-duplicates; see :func:`sora_video.index.duplicates.find_duplicates`.

        Raises:
            SoraError: the server refused the request, or cannot be reached.
        """
        values = {"threshold": threshold, "cover": cover, "normalize": normalize, "agree": agree}
        query = urlencode(values | ({} if by is None else {"by": by}))
        return [group_of(group) for group in self._server.ask("GET", f"/api/v1/duplicates?{query}")["groups"]]

    def map(self, where: Where | None = None) -> dict[str, tuple[float, float]]:
        """Where videos lie on the map of the library; see :func:`sora_video.index.map.map_library`.

        Waits while the first map is being drawn; videos that came since it was are left out.

        Args:
            where: only those of which a slice passes this filter; None: all.

        Returns:
            x and y from 0 to 1, by video.

        Raises:
            SoraError: the server refused the request, or cannot be reached.
        """
        query = urlencode([("where", word) for word in words_of(where)])
        end_s = time.monotonic() + self.timeout_s
        while (answer := self._server.ask("GET", f"/api/v1/map?{query}"))["map"] is None:
            if time.monotonic() > end_s:
                raise SoraError(f"{self.url}: the map is still being drawn; try again later")
            time.sleep(LOOK_S)
        return {video["video_id"]: (video["x"], video["y"]) for video in answer["videos"]}

    def list_runs(self) -> "list[RunSummary]":
        """The runs of the server's folder of runs that can be read, the one written last first.

        Each is what :func:`sora_video.pretrain.training.run.summary.summarize_run` gives.

        Raises:
            SoraError: the server cannot be reached.
        """
        return [summary_of(run) for run in self._runs() if run["error"] is None]

    def read_run(self, name: str, points: int = 500) -> "RunReport":
        """All of a run; see :func:`sora_video.pretrain.training.run.summary.read_run`.

        Args:
            name: as the list of runs has it.
            points: most lines of its log.

        Raises:
            SoraError: there is no such run, it cannot be read, or the server cannot be reached.
        """
        from sora_video.pretrain.training.run.summary import RunReport

        ids = {run["name"]: run["run_id"] for run in self._runs()}
        if name not in ids:
            raise SoraError(f"run {name}: the server has no such run; it has {', '.join(ids) or 'none'}")
        values = self._server.ask("GET", f"/api/v1/runs/{ids[name]}?points={points}")
        parts = {each: values.pop(each) for each in ("settings", "metrics", "probe", "events", "log")}
        return RunReport(summary=summary_of(values), **parts)

    def _runs(self) -> list[dict[str, Any]]:
        """The list of runs as the server has it."""
        runs: list[dict[str, Any]] = self._server.ask("GET", "/api/v1/runs")["runs"]
        return runs

    def info(self) -> dict[str, Any]:
        """The library in numbers, as `sora index info --json`, and what the server takes.

        Raises:
            SoraError: the server cannot be reached.
        """
        found: dict[str, Any] = self._server.ask("GET", "/api/v1/info")
        return found

    def _send_files(self, examples: Sequence[Example], how: Mapping[str, Any]) -> Any:
        """Send videos or images to be searched for, beside slices."""
        sent = [each for each in examples if not each.is_slice]
        if sum(each.is_folder for each in sent) > 1:
            raise ConfigError("examples: several folders of images; search for one of them at a time")
        files = [path for each in sent for path in files_of(each)]
        if absent := [path for path in files if not path.is_file()]:
            raise ConfigError(f"query {absent[0]}: no such file; check the path")
        first = sent[0]
        slices = [each.slice_number for each in examples if each.is_slice]
        times = {"start_s": first.start_s, "end_s": first.end_s, "fps": first.fps}
        fields = {**how, **times, "slice_id": slices}
        body = Multipart(fields, files)
        return self._server.send("POST", "/api/v1/search/upload", iter(body), body.headers)
