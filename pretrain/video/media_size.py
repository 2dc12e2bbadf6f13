"""How large a film or an image is, as its header says, read by a supervised reader."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from .inspect import inspect
from .opening import open_media, video_stream
from .readers.limits import Limits
from .readers.readers import Request, read_once

__all__ = ["MediaSize", "size_apart"]


class MediaSize(NamedTuple):
    """The size of a film or an image."""

    pixels: int
    """Of a picture."""
    duration_s: float
    """0 of an image."""


def size_apart(path: Path, limits: Limits, *, images: bool = False) -> MediaSize:
    """The size of a film or an image.

    Args:
        path: the file.
        limits: of the reader.
        images: whether it is to be an image.

    Raises:
        VideoError: it cannot be read.
    """
    read = read_image_size if images else read_film_size
    size: MediaSize = read_once(Request(0, read, path.absolute(), path), limits)
    return size


def read_film_size(path: Path) -> Iterator[MediaSize]:
    """What a reader does for a film."""
    info = inspect(path)
    yield MediaSize(info.width * info.height, info.duration_s)


def read_image_size(path: Path) -> Iterator[MediaSize]:
    """What a reader does for an image."""
    with open_media(path) as opened:
        context = video_stream(opened).codec_context
        yield MediaSize(context.width * context.height, 0.0)
