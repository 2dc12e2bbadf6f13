"""What the header of one video says, read by a supervised reader."""

from collections.abc import Iterator
from pathlib import Path

from .inspect import inspect
from .readers.readers import Request, read_once

__all__ = ["duration_of"]


def duration_of(path: Path) -> float:
    """Length of a video in seconds.

    Args:
        path: the video.

    Raises:
        VideoError: the file has no video that can be read.
    """
    duration_s: float = read_once(Request(0, read_duration, path.absolute(), path))
    return duration_s


def read_duration(path: Path) -> Iterator[float]:
    """What a reader does for :func:`duration_of`."""
    yield inspect(path).duration_s
