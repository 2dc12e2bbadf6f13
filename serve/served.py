"""The library that a server answers from, as it is on the disk now."""

from collections import Counter
from functools import cached_property
from pathlib import Path
from threading import Lock

from sora_video.base import console
from sora_video.base.errors import LibraryError
from sora_video.index.info import VideoInfo
from sora_video.index.library import Library
from sora_video.index.map import content_of
from sora_video.index.opening import open_library
from sora_video.index.store.attributes import Value, spell

from .dates import dates_of
from .ids import opaque_id
from .refusals import AwayError, MissingError

__all__ = ["Served", "ServedLibrary", "counted", "facets_of"]

MOST_VALUES = 100
"""Values of an attribute that are counted, the most frequent ones."""


class Served:
    """A library at one moment, with what answers are made of.

    Args:
        library: opened.
        key: of the ids of its videos.
    """

    def __init__(self, library: Library, key: str) -> None:
        self.library, self.key = library, key.encode()

    def media_id(self, video_id: str) -> str:
        """The opaque id of a video; it tells nothing of its name, and stays the same.

        Args:
            video_id: its name.
        """
        return opaque_id(self.key, video_id)

    def name_of(self, media_id: str) -> str:
        """The video of an opaque id.

        Args:
            media_id: see :meth:`media_id`.

        Raises:
            MissingError: there is none.
        """
        if media_id not in self.names:
            raise MissingError("there is no such video; ids come from hits and from the list of videos")
        return self.names[media_id]

    @cached_property
    def names(self) -> dict[str, str]:
        """All videos by id."""
        return {self.media_id(name): name for name in self.library.videos()}

    @cached_property
    def listing(self) -> list[VideoInfo]:
        """All videos with their attributes, by name."""
        return self.library.list_videos()

    @cached_property
    def counted(self) -> dict[str, object]:
        """What :func:`counted` counts of all videos."""
        return counted(self.listing)

    @cached_property
    def content(self) -> str:
        """What decides the map of the library, see :func:`sora_video.index.map.content_of`."""
        return content_of(self.library)

    @cached_property
    def roots(self) -> set[str]:
        """Folders that videos were added from."""
        return {video.source for video in self.listing if video.source}


class ServedLibrary:
    """Opens a library, and opens it again once it has changed on the disk.

    Args:
        path: its folder.
        key: of the ids of its videos.

    Raises:
        LibraryError: there is none.
    """

    def __init__(self, path: Path, key: str) -> None:
        self.path, self.key, self.lock = path, key, Lock()
        self.stamp = self.read_stamp()
        self.served = Served(open_library(path, console.warn), key)

    def now(self) -> Served:
        """The library as it was committed last; what has not changed is not read again.

        Raises:
            AwayError: it cannot be read any more.
        """
        with self.lock:
            stamp = self.read_stamp()
            if stamp != self.stamp or stamp is None:
                try:
                    self.served = Served(self.served.library.reopened(), self.key)
                except LibraryError as error:
                    raise AwayError(str(error)) from error
                self.stamp = stamp
            return self.served

    def read_stamp(self) -> tuple[int, int, int, int] | None:
        """What tells one manifest from another: each commit renames a new file into place."""
        try:
            status = (self.path / "manifest.json").stat()
        except OSError:
            return None
        return status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


def counted(videos: list[VideoInfo]) -> dict[str, object]:
    """How often values of attributes, and dates, occur; as answers have it.

    Args:
        videos: to count.
    """
    facets = {
        name: [{"value": value, "count": count} for value, count in values]
        for name, values in facets_of(videos).items()
    }
    return {"facets": facets, "dates": dates_of(videos)}


def facets_of(videos: list[VideoInfo]) -> dict[str, list[tuple[Value, int]]]:
    """How often each value of each attribute occurs.

    Args:
        videos: to count.

    Returns:
        By name of the attribute, values with their counts, the most frequent first.
    """
    counts: dict[str, Counter[str]] = {}
    values: dict[str, Value] = {}
    for video in videos:
        for name, value in video.attributes.items():
            values[spell(value)] = value
            counts.setdefault(name, Counter())[spell(value)] += 1
    return {
        name: [(values[text], count) for text, count in counts[name].most_common(MOST_VALUES)]
        for name in sorted(counts)
    }
