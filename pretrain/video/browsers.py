"""Which films browsers play as they are: by container, codec and kind of pixels, as headers tell them."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import av

from sora_video.base.errors import VideoError

from .opening import open_media, reason, video_stream
from .readers.limits import Limits
from .readers.readers import Request, read_once

__all__ = ["Playable", "obstacle_apart", "playable"]

PLAYED = {
    "mov,mp4,m4a,3gp,3g2,mj2": ("h264", "av1", "vp9"),
    "matroska,webm": ("vp8", "vp9", "av1"),
}
"""Codecs that Chromium, Firefox and Safari play, by FFmpeg's name of the container."""
PIXELS = ("yuv420p", "yuvj420p")
"""Kinds of pixels that all of them play."""
TIMEOUT_S = 5.0


class Playable(NamedTuple):
    """What browsers play of some films."""

    films: int
    refused: dict[str, str]
    """Those that they do not play, with what is in the way."""
    unreadable: dict[str, str]
    """Those whose header cannot be read, with the reason."""


def playable(films: Iterable[tuple[str, Path]]) -> Playable:
    """Look at the headers of films; nothing is decoded.

    Args:
        films: name and file of each.
    """
    count, refused, unreadable = 0, {}, {}
    for name, path in films:
        count += 1
        try:
            if obstacle := obstacle_of(path):
                refused[name] = obstacle
        except VideoError as error:
            unreadable[name] = str(error)
        except (av.FFmpegError, OSError, ValueError) as error:
            unreadable[name] = reason(error)
    return Playable(count, refused, unreadable)


def obstacle_apart(path: Path, limits: Limits | None = None) -> str | None:
    """Why browsers do not play a film, as a supervised reader finds it; None where they do.

    Args:
        path: the file.
        limits: of the reader.

    Raises:
        VideoError: it has no video whose header can be read.
    """
    obstacle: str | None = read_once(Request(0, read_obstacle, path.absolute(), path), limits)
    return obstacle


def read_obstacle(path: Path) -> Iterator[str | None]:
    """What a reader does for :func:`obstacle_apart`."""
    yield obstacle_of(path)


def obstacle_of(path: Path) -> str | None:
    """Why browsers do not play a film; None where they do."""
    with open_media(path, timeout_s=TIMEOUT_S) as container:
        stream = video_stream(container)
        codec, pixels, kind = stream.codec_context.name, stream.codec_context.pix_fmt, container.format.name
    codec = {"libdav1d": "av1", "libvpx": "vp8", "libvpx-vp9": "vp9"}.get(codec, codec)
    if codec not in PLAYED.get(kind, ()) or (kind == "matroska,webm" and path.suffix.lower() != ".webm"):
        return f"{codec} in {kind.split(',')[0]}"
    return None if pixels in PIXELS else f"{codec} of {pixels} pixels"
