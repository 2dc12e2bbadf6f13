"""Where the videos of a library come from; two files of the same name in two folders are two videos.

A table keeps a video's source among its attributes, under names with ``=``, which no attribute has.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from sora_video.base.errors import LibraryError

__all__ = ["VideoSource", "attributes_alone", "check_prefix", "source_of", "with_source"]

ROOT, PREFIX = "=root", "=prefix"


class VideoSource(NamedTuple):
    """The corpus that a video was added from."""

    root: str
    """Folder below which it lies; it may have moved since."""
    prefix: str = ""
    """What its name has before its path below that folder, without the last ``/``."""

    def path(self, video_id: str) -> Path:
        """The file of a video.

        Args:
            video_id: its name in the library.
        """
        below = video_id.removeprefix(f"{self.prefix}/") if self.prefix else video_id
        return Path(self.root, below)

    def has(self, video_id: str) -> bool:
        """Whether the file of a video is still there.

        Args:
            video_id: its name in the library.
        """
        try:
            self.path(video_id).stat()
        except (OSError, ValueError):
            return False
        return True

    def same_file(self, other: "VideoSource", video_id: str) -> bool:
        """Whether two sources mean the same file by a name, through links too.

        Args:
            other: the other source.
            video_id: the video's name in the library.
        """
        return self == other or os.path.realpath(self.path(video_id)) == os.path.realpath(
            other.path(video_id)
        )


def check_prefix(prefix: str) -> str:
    """A prefix without the ``/`` at its end.

    Args:
        prefix: as it was given; empty for none.

    Raises:
        LibraryError: it is no relative folder.
    """
    folders = prefix.rstrip("/").split("/")
    if prefix and any(folder in ("", ".", "..") for folder in folders):
        raise LibraryError(f"prefix {prefix!r}: must be a name, or names with '/' between; try --prefix cam2")
    return "/".join(folders)


def source_of(stored: Mapping[str, Any]) -> VideoSource | None:
    """The source among stored attributes; None: unknown.

    Args:
        stored: as a table has them.

    Raises:
        ValueError: it is no text.
    """
    root, prefix = stored.get(ROOT), stored.get(PREFIX, "")
    if root is None:
        return None
    if not isinstance(root, str) or not isinstance(prefix, str):
        raise ValueError(f"the source of a video is {root!r}, {prefix!r}, not text")
    return VideoSource(root, prefix)


def attributes_alone(stored: Mapping[str, Any]) -> dict[str, Any]:
    """Stored attributes without the source.

    Args:
        stored: as a table has them.
    """
    return {name: value for name, value in stored.items() if name not in (ROOT, PREFIX)}


def with_source(attributes: Mapping[str, Any], source: VideoSource | None) -> dict[str, Any]:
    """Attributes as a table stores them.

    Args:
        attributes: without a source.
        source: of the video; None: unknown.
    """
    if source is None:
        return dict(attributes)
    prefix = {PREFIX: source.prefix} if source.prefix else {}
    return {**attributes, ROOT: source.root, **prefix}
