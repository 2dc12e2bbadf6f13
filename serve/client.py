"""A Python client, whose answers are those of the local functions."""

import http.client
import json
import secrets
import time
from collections.abc import Collection, Iterator, Mapping
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import numpy as np

from sora_video.base.errors import ConfigError, SoraError
from sora_video.index.duplicates import AGREE as DUPLICATES_AGREE
from sora_video.index.duplicates import COVER, THRESHOLD, Group
from sora_video.index.example import Example
from sora_video.index.info import VideoInfo
from sora_video.index.pairs import Pair
from sora_video.index.query import AGREE
from sora_video.index.search.align import AlignedSpan
from sora_video.index.search.moments import Moment
from sora_video.index.search.search import Hit
from sora_video.index.store.filters import Attributes, Value, Where, spell

from .multipart import Multipart

__all__ = ["Client"]

PAGE = 1000
"""Videos of a page of the list."""
LOOK_S = 1.0


class Client:
    """Asks a server that `sora serve` runs.

    Args:
        url: of the server, such as ``http://127.0.0.1:8000``.
        token: of the server, where it asks for one.
        timeout_s: most seconds without an answer.

    Raises:
        ConfigError: the address is none of http or https.
    """

    def __init__(self, url: str, token: str | None = None, timeout_s: float = 300.0) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.path not in ("", "/"):
            raise ConfigError(f"url={url}: must be the address of a server, such as http://127.0.0.1:8000")
        self.url, self.token, self.timeout_s = url, token, timeout_s
        self._parts = parts

    def search(
        self,
        example: Example,
        *,
        top: int = 10,
        exclude: Collection[str] = (),
        where: Where | None = None,
        agree: bool = AGREE,
    ) -> list[Hit]:
        """Find what :func:`sora_video.index.localize.localize` finds by an example.

        Args:
            example: a file, folder or table of this machine, which is sent; or a slice, or words.
            top: see :class:`sora_video.index.query.Query`.
            exclude: see there.
            where: see there.
            agree: see there.

        Returns:
            Hits, best first.

        Raises:
            SoraError: the server refused the request, or cannot be reached.
        """
        if example.model is not None:
            raise ConfigError(
                f"model={example.model}: the server searches with its library's own; leave it out"
            )
        names = [exclude] if isinstance(exclude, str) else sorted(exclude)
        how = {"top": top, "exclude": names, "where": words_of(where), "by": example.by, "agree": agree}
        if example.is_slice:
            asked: dict[str, Any] = {"slice_id": example.slice_number}
        elif example.is_text:
            asked = {"text": example.words}
        elif example.is_vectors:
            asked = {"vectors": np.atleast_2d(np.load(example.path, allow_pickle=False)).tolist()}
        else:
            return hits_in(self._send_files(example, how))
        return hits_in(self._ask("POST", "/api/v1/search", {**asked, **how}))

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
        names = [exclude] if isinstance(exclude, str) else sorted(exclude)
        how = {"top": top, "exclude": names, "where": words_of(where), "by": by, "agree": agree}
        span = {"video_id": video_id, "start_s": start_s, "end_s": end_s}
        return hits_in(self._ask("POST", "/api/v1/search", {**span, **how}))

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
            page = self._ask("GET", f"/api/v1/videos?{query}")
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
        found: Attributes = self._ask("GET", f"/api/v1/attributes?video_id={quote(video_id, safe='')}")
        return found

    def set_attributes(self, changes: Mapping[str, Mapping[str, Value | None]]) -> None:
        """Edit attributes of videos, all of them or none; see :meth:`sora_video.Library.set_attributes`.

        Args:
            changes: by video, the values to set by name; None takes an attribute away.

        Raises:
            SoraError: the server refused the change, or cannot be reached.
        """
        self._ask(
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
        return [group_of(group) for group in self._ask("GET", f"/api/v1/duplicates?{query}")["groups"]]

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
        while (answer := self._ask("GET", f"/api/v1/map?{query}"))["map"] is None:
            if time.monotonic() > end_s:
                raise SoraError(f"{self.url}: the map is still being drawn; try again later")
            time.sleep(LOOK_S)
        return {video["video_id"]: (video["x"], video["y"]) for video in answer["videos"]}

    def info(self) -> dict[str, Any]:
        """The library in numbers, as `sora index info --json`, and what the server takes.

        Raises:
            SoraError: the server cannot be reached.
        """
        found: dict[str, Any] = self._ask("GET", "/api/v1/info")
        return found

    def _send_files(self, example: Example, how: Mapping[str, Any]) -> Any:
        """Send a video or images to be searched for."""
        files = [example.path]
        if example.is_folder:
            from sora_video.pretrain.video.images import images_in

            files = images_in(example.path)
        if absent := [path for path in files if not path.is_file()]:
            raise ConfigError(f"query {absent[0]}: no such file; check the path")
        fields = {**how, "start_s": example.start_s, "end_s": example.end_s, "fps": example.fps}
        boundary = secrets.token_hex(16)
        body = Multipart(boundary, fields, files)
        headers = {
            "Content-Type": f"multipart/form-data; boundary={boundary}",
            "Content-Length": str(body.size),
        }
        return self._send("POST", "/api/v1/search/upload", iter(body), headers)

    def _ask(self, method: str, path: str, value: Any = None) -> Any:
        """Send JSON, and take JSON."""
        if value is None:
            return self._send(method, path, None, {})
        return self._send(method, path, json.dumps(value).encode(), {"Content-Type": "application/json"})

    def _send(self, method: str, path: str, body: Any, headers: Mapping[str, str]) -> Any:
        """Send a request.

        Raises:
            SoraError: the server refused it, or cannot be reached.
        """
        kind = http.client.HTTPSConnection if self._parts.scheme == "https" else http.client.HTTPConnection
        connection = kind(self._parts.hostname or "", self._parts.port, timeout=self.timeout_s)
        known = {} if self.token is None else {"Authorization": f"Bearer {self.token}"}
        try:
            connection.request(method, path, body, {**headers, **known})
            answer = connection.getresponse()
            content = answer.read()
        except (OSError, http.client.HTTPException) as error:
            raise SoraError(
                f"{self.url}: cannot be reached: {error}; check that `sora serve` runs"
            ) from error
        finally:
            connection.close()
        if answer.status >= 400:
            raise SoraError(f"{self.url}: {problem_in(content, answer.status)}")
        return json.loads(content) if content else None


def words_of(where: Where | None) -> list[str]:
    """A filter as the command line has it."""
    if where is None:
        return []
    words = [
        f"{name}={value if isinstance(value, str) else spell(value)}"
        for name, value in where.attributes.items()
    ]
    words += [str(condition) for condition in where.conditions]
    for name, value, none in (("start_s", where.start_s, -np.inf), ("end_s", where.end_s, np.inf)):
        if value != none:
            words.append(f"{name}={value}")
    if isinstance(where.videos, frozenset):
        raise ConfigError("where: a server takes no list of names; name a glob, or ask for all")
    return words if where.videos is None else [*words, f"videos={where.videos}"]


def hits_in(answer: Any) -> list[Hit]:
    """The hits of an answer."""
    return [hit_of(value) for value in answer["hits"]]


def hit_of(value: dict[str, Any]) -> Hit:
    """A hit of its JSON."""
    other = ("sure", "media_id", "duration_s", "moments", "aligned")
    own = {name: each for name, each in value.items() if name not in other}
    moments = tuple(Moment(**moment) for moment in value["moments"])
    return Hit(**own, moments=moments, aligned=tuple(AlignedSpan(**span) for span in value["aligned"]))


def group_of(value: dict[str, Any]) -> Group:
    """A group of duplicates of its JSON."""
    pairs = (
        Pair(**{**pair, "spans": tuple(AlignedSpan(**span) for span in pair["spans"])})
        for pair in value["pairs"]
    )
    return Group(videos=tuple(value["videos"]), pairs=tuple(pairs))


def problem_in(content: bytes, status: int) -> str:
    """What the server said of a request that it refused."""
    try:
        return str(json.loads(content)["error"])
    except (ValueError, KeyError, TypeError):
        return f"answered {status}"
