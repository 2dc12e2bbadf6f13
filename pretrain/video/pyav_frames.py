"""Frames of a video by PyAV: in any order, or from its start to its end."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import av
import numpy as np
from av.video.reformatter import VideoReformatter
from numpy.typing import NDArray

from sora_video.base.errors import VideoError

from .forward import Decoded, Walk
from .inspect import VideoInfo
from .opening import reason
from .picture import Fit, Size, fit_of

__all__ = ["MOST_HELD", "ForwardFrames", "PyAVFrames"]

Pixels = NDArray[np.uint8]
NEAR_PACKETS = 24
"""Decoding on over so many packets is quicker than to seek."""
MOST_HELD = 25
"""A picture stays on screen for no more damaged ones than these."""
FAR_PACKETS = 600
"""A forward reader skips more than these, if it can."""


class PyAVFrames:
    """Frames by PyAV: decoding starts at safe points alone, and goes on from where it is.

    Args:
        path: the file.
        info: its properties.
        size: see :func:`.decode.open_video`.
    """

    near = NEAR_PACKETS

    def __init__(self, path: Path, info: VideoInfo, size: Size) -> None:
        self.path, self.info, self.fit = path, info, fit_of(size, info.shown_size)
        self.times, self.duration_s = info.times, info.duration_s
        self.walk: Walk | None = None
        self.scaler = VideoReformatter()
        self.decoding: Iterator[Decoded] = iter(())
        self.shown: Numbered | None = None
        """What is on screen."""
        self.ahead: Numbered | None = None
        """What comes next, where it is decoded already."""

    def frames(self, indices: NDArray[np.int64]) -> Pixels:
        """See :meth:`.decode.Frames.frames`."""
        unique, inverse = np.unique(indices, return_inverse=True)
        pictures = np.empty((len(unique), *self.fit.cropped, 3), np.uint8)
        for place, number in enumerate(unique.tolist()):
            pictures[place] = self.picture(number, self.fit)
        return pictures if np.array_equal(unique, indices) else pictures[inverse]

    def close(self) -> None:
        """See :meth:`.decode.Frames.close`."""
        if self.walk:
            self.walk.close()

    def picture(self, number: int, fit: Fit) -> Pixels:
        """One frame as pixels."""
        if not 0 <= number < len(self.times):
            raise VideoError(f"frame {number}: must be between 0 and {len(self.times) - 1}")
        try:
            return fit.convert(self.frame(number), self.scaler)
        except (av.FFmpegError, OSError, ValueError) as error:
            raise VideoError(f"cannot be decoded: {reason(error)}") from error

    def frame(self, number: int) -> av.VideoFrame:
        """What is on screen when a frame is due: a damaged one is not, and the one before it stays."""
        entry = int(np.searchsorted(self.info.entry_frames, number, side="right")) - 1
        if not self.is_near(number, entry):
            self.enter(entry)
        self.advance(number)
        while self.shown is None and entry > 0:
            entry //= 2
            self.enter(entry)
            self.advance(number)
        if self.shown is None or number - self.shown.number > MOST_HELD:
            raise VideoError(f"frame {number} of {len(self.times)} cannot be decoded")
        return self.shown.frame

    def is_near(self, number: int, entry: int) -> bool:
        """Whether decoding on reaches a frame no later than entering anew would."""
        if self.shown is None or number < self.shown.number:
            return False
        here = self.info.packets[self.shown.number]
        return bool(self.info.entry_packets[entry] - here <= self.near)

    def enter(self, entry: int) -> None:
        """Start to decode at a safe point, or where a seek lands behind it at an earlier one."""
        self.shown = self.ahead = None
        self.walk = self.walk or Walk(self.path)
        while entry > 0:
            stamps = self.info.entry_stamps[entry].tolist()
            decoding = self.walk.from_packet(int(self.info.entry_packets[entry]), *stamps)
            if decoding is not None:
                self.decoding = decoding
                return
            entry //= 2
        self.decoding = self.walk.from_start()

    def advance(self, number: int) -> None:
        """Decode until a frame is on screen."""
        while self.shown is None or self.shown.number < number:
            self.ahead = self.ahead or self.following()
            if self.ahead is None or self.ahead.number > number:
                return
            self.shown, self.ahead = self.ahead, None

    def following(self) -> "Numbered | None":
        """The next frame of those that are shown; None at the end."""
        for packet, frame in self.decoding:
            number = self.info.numbers.get(packet, -1)
            if number > (self.shown.number if self.shown else -1):
                return Numbered(number, frame)
        return None


class Numbered(NamedTuple):
    """A decoded frame."""

    number: int
    frame: av.VideoFrame


class ForwardFrames(PyAVFrames):
    """Frames for calls with rising indices: decoding goes on from where it is.

    The pictures of the latest call are kept for slices that overlap. What lies before them is reached as by
    :class:`PyAVFrames`.

    Args:
        path: the file.
        info: its properties.
        sizes: see :func:`.decode.open_video`; several, where each frame is wanted in several.
    """

    near = FAR_PACKETS

    def __init__(self, path: Path, info: VideoInfo, *sizes: Size) -> None:
        super().__init__(path, info, sizes[0])
        self.fits = [fit_of(size, info.shown_size) for size in sizes]
        self.kept: dict[tuple[int, int], Pixels] = {}

    def frames(self, indices: NDArray[np.int64]) -> Pixels:
        """See :meth:`.decode.Frames.frames`."""
        return self.several([indices])[0]

    def several(self, wanted: Sequence[NDArray[np.int64]]) -> list[Pixels]:
        """Decode frames in several sizes, each once.

        Args:
            wanted: frame numbers for each of the first sizes, as :meth:`frames` takes them.

        Returns:
            (n, height, width, 3) uint8 RGB for each of them.

        Raises:
            VideoError: a frame cannot be decoded.
        """
        numbers = sorted({(int(number), size) for size, row in enumerate(wanted) for number in row})
        self.kept = {
            key: self.kept[key] if key in self.kept else self.picture(key[0], self.fits[key[1]])
            for key in numbers
        }
        return [
            np.stack([self.kept[number, size] for number in row.tolist()]) for size, row in enumerate(wanted)
        ]
