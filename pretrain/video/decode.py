"""Frames of a video by index at reduced size: decord where it agrees with the container, else PyAV."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol
from weakref import WeakSet

import av
import decord
import numpy as np
from numpy.typing import NDArray

from sora_video.base.errors import VideoError

from .inspect import VideoInfo, reason, video_stream
from .known import KnownVideos

__all__ = ["DecordFrames", "Frames", "PyAVFrames", "open_video", "to_rgb"]

decord.logging.set_level(decord.logging.QUIET)

Pixels = NDArray[np.uint8]
Walk = Callable[[av.container.InputContainer, av.VideoStream, list[int]], Iterator[tuple[int, av.VideoFrame]]]
DECORD_ERRORS = (decord.DECORDError, RuntimeError, AssertionError, IndexError, OSError)
UNSAFE_WIDTHS = frozenset({8, 12, 16, 24, 32, 48, 96, 144})
"""Output widths at which decord cannot copy a frame (measured with 3.3.0)."""
KNOWN = KnownVideos(frames=4_000_000)
AGREEMENT_S = 2e-3
"""Most that decord's float32 times may differ from the container's."""
AGREED: WeakSet[VideoInfo] = WeakSet()
"""Videos that decord was found to time as the container does."""


class Frames(Protocol):
    """Random access to the frames of one video."""

    @property
    def times(self) -> NDArray[np.float64]:
        """(N,) rising presentation times in seconds; the first is 0."""

    @property
    def duration_s(self) -> float:
        """End of the last frame in seconds."""

    def frames(self, indices: NDArray[np.int64]) -> Pixels:
        """Decode frames.

        Args:
            indices: (n,) frame numbers in any order, repeats allowed; each is decoded once.

        Returns:
            (n, height, width, 3) uint8 RGB.

        Raises:
            VideoError: a frame cannot be decoded.
        """


class DecordFrames:
    """Frames by decord, single-threaded."""

    def __init__(self, path: Path, info: VideoInfo, size: tuple[int, int]) -> None:
        self.times, self.duration_s, self.size = info.times, info.duration_s, size
        try:
            self.reader = decord.VideoReader(str(path), width=size[1], height=size[0], num_threads=1)
            if info not in AGREED:
                self.agree()
        except DECORD_ERRORS as error:
            raise VideoError(f"decord cannot open it: {reason(error)}") from error
        AGREED.add(info)

    def agree(self) -> None:
        """Check decord's times, once for each video, as it takes a while."""
        stamps = self.reader.get_frame_timestamp(np.arange(len(self.reader)))[:, 0]
        if len(stamps) != len(self.times) or np.abs(stamps - self.times).max() > AGREEMENT_S:
            raise VideoError("decord and the container disagree about its frame times")

    def frames(self, indices: NDArray[np.int64]) -> Pixels:
        """See :meth:`Frames.frames`."""
        unique, inverse = np.unique(indices, return_inverse=True)
        try:
            pixels = self.reader.get_batch(unique).asnumpy()
        except DECORD_ERRORS as error:
            raise VideoError(f"decord cannot decode it: {reason(error)}") from error
        if pixels.shape != (len(unique), *self.size, 3):
            raise VideoError(f"decord returned shape {pixels.shape}")
        return np.asarray(pixels[inverse])


class PyAVFrames:
    """Frames by PyAV: seek to the keyframe before and decode forward, or count from the start."""

    def __init__(self, path: Path, info: VideoInfo, size: tuple[int, int]) -> None:
        self.path, self.info, self.size = path, info, size
        self.times, self.duration_s = info.times, info.duration_s

    def frames(self, indices: NDArray[np.int64]) -> Pixels:
        """See :meth:`Frames.frames`."""
        unique, inverse = np.unique(indices, return_inverse=True)
        wanted = unique.tolist()
        found = self.collect(self.seek, wanted)
        if len(found) < len(wanted):  # some streams cannot be entered at every keyframe they mark
            found = self.collect(self.count, wanted)
        missing = [number for number in wanted if number not in found]
        if missing:
            raise VideoError(f"frame {missing[0]} of {len(self.times)} is missing from the stream")
        return np.stack([found[number] for number in wanted])[inverse]

    def collect(self, walk: Walk, wanted: list[int]) -> dict[int, Pixels]:
        """Decode by one way of walking the stream; frames it does not reach are left out."""
        try:
            with av.open(self.path) as container:
                stream = video_stream(container)
                stream.thread_type = "NONE"
                return {number: to_rgb(frame, self.size) for number, frame in walk(container, stream, wanted)}
        except (av.FFmpegError, ValueError) as error:
            raise VideoError(f"cannot be decoded: {reason(error)}") from error

    def seek(
        self, container: av.container.InputContainer, stream: av.VideoStream, wanted: list[int]
    ) -> Iterator[tuple[int, av.VideoFrame]]:
        """Enter at the keyframe before each group of wanted frames and match presentation timestamps."""
        if self.info.pts is None or len(self.info.keyframes) == 0:
            return
        pts = self.info.pts[wanted]
        segment = np.searchsorted(self.info.keyframes, pts, side="right")
        for group in np.split(np.arange(len(wanted)), np.flatnonzero(np.diff(segment)) + 1):
            container.seek(int(self.info.keyframes[max(0, segment[group[0]] - 1)]), stream=stream)
            pending = {int(pts[place]): wanted[place] for place in group}
            for frame in container.decode(stream):
                if frame.pts in pending:
                    yield pending.pop(frame.pts), frame
                if not pending:
                    break

    def count(
        self, container: av.container.InputContainer, stream: av.VideoStream, wanted: list[int]
    ) -> Iterator[tuple[int, av.VideoFrame]]:
        """Decode from the start and count."""
        pending = set(wanted)
        for number, frame in enumerate(container.decode(stream)):
            if number in pending:
                yield number, frame
            if number >= wanted[-1]:
                break


def to_rgb(frame: av.VideoFrame, size: tuple[int, int]) -> Pixels:
    """A decoded frame upright, stretched to fill (height, width), as (height, width, 3) RGB."""
    turns = round(frame.rotation / 90) % 4
    height, width = size if turns % 2 == 0 else size[::-1]
    # By default each call starts a thread a processor to scale in, which takes longer than the scaling.
    pixels = frame.to_ndarray(format="rgb24", width=width, height=height, interpolation="BICUBIC", threads=1)
    return np.rot90(pixels, turns)


def open_video(path: Path, size: tuple[int, int]) -> Frames:
    """Open a video for random access.

    The container's presentation times rule. decord is used where its own times agree with them, the width is
    one it can deliver and every keyframe is a clean entry; other files are read by PyAV, to the same result.

    Args:
        path: the file.
        size: (height, width) in pixels that frames are decoded to; the picture is stretched to fill it.

    Returns:
        The opened video.

    Raises:
        VideoError: the file has no video that can be read.
    """
    info = KNOWN.inspect(path)
    if size[1] in UNSAFE_WIDTHS or info.open_gop:
        return PyAVFrames(path, info, size)
    try:
        return DecordFrames(path, info, size)
    except VideoError:
        return PyAVFrames(path, info, size)
