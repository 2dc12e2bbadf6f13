"""Frames of a video by index: what decoding from the start shows, reached the quickest way that is right."""

from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from sora_video.base.errors import VideoError

from .decord_frames import DecordFrames, decord_may_read
from .known import KNOWN
from .picture import Size, fit_of
from .pyav_frames import ForwardFrames, PyAVFrames

__all__ = ["Frames", "open_forward", "open_video"]


class Frames(Protocol):
    """Random access to the frames of one video."""

    @property
    def times(self) -> NDArray[np.float64]:
        """(N,) rising presentation times in seconds; the first is 0."""

    @property
    def duration_s(self) -> float:
        """End of the last frame in seconds."""

    def frames(self, indices: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Decode frames.

        Args:
            indices: (n,) frame numbers in any order, repeats allowed; each is decoded once.

        Returns:
            (n, height, width, 3) uint8 RGB.

        Raises:
            VideoError: a frame cannot be decoded.
        """

    def close(self) -> None:
        """Close the file."""


def open_video(path: Path, size: Size) -> Frames:
    """Open a video for random access.

    Truth is decoding from the start. decord is used for kinds of files on which its pictures were compared,
    and where it agrees on a few pictures of this one; other files are read by PyAV, to the same result.

    Args:
        path: the file.
        size: (height, width) in pixels that frames are stretched to, or how pictures of slices are made.

    Returns:
        The opened video.

    Raises:
        VideoError: the file has no video that can be read.
    """
    info = KNOWN.inspect(path)
    if decord_may_read(info, fit_of(size, info.shown_size)):
        try:
            return DecordFrames(path, info, size)
        except VideoError:
            pass
    return PyAVFrames(path, info, size)


def open_forward(path: Path, *sizes: Size) -> ForwardFrames:
    """Open a video for reading from start to end; see :func:`open_video`.

    Args:
        path: the video.
        sizes: see :func:`open_video`; several, where each frame is wanted in several.

    Raises:
        VideoError: the video cannot be read.
    """
    return ForwardFrames(path, KNOWN.inspect(path), *sizes)
