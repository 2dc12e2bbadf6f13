"""Frames of a video by index: what decoding from the start shows, reached the quickest way that is right."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

import av
import decord
import numpy as np
from av.video.reformatter import VideoReformatter
from numpy.typing import NDArray

from sora_video.base.errors import VideoError

from .complaints import COMPLAINTS
from .forward import Decoded, Walk
from .inspect import VideoInfo
from .known import KnownVideos
from .opening import name_of, reason
from .picture import Fit, Picture
from .pixels import UPRIGHT

__all__ = [
    "KNOWN",
    "MOST_HELD",
    "DecordFrames",
    "ForwardFrames",
    "Frames",
    "PyAVFrames",
    "open_forward",
    "open_video",
]

Pixels = NDArray[np.uint8]
Size = tuple[int, int] | Picture
DECORD_ERRORS = (decord.DECORDError, RuntimeError, AssertionError, IndexError, OSError)
UNSAFE_WIDTHS = frozenset({8, 12, 16, 24, 32, 48, 96, 144})
"""Output widths at which decord cannot copy a frame (measured with 3.3.0)."""
DECORD_CONTAINERS = frozenset({"avi", "flv", "matroska,webm", "mov,mp4,m4a,3gp,3g2,mj2"})
DECORD_CODECS = frozenset({"av1", "h264", "mjpeg", "mpeg2video", "mpeg4", "prores", "vp8", "vp9"})
KNOWN = KnownVideos(frames=2_000_000)
AGREEMENT_S = 2e-3
"""Most that decord's float32 times may differ from the index."""
AGREEMENT, MARGIN = 8.0, 0.5
"""Most grey levels that decord's pictures may differ by, on average over an 8x8 grid of means: two scalers
never agree on fine detail, nor two conversions on strong colours. None of the others compared may be
nearer by more than the margin."""
GRID = 8
NEAR_PACKETS = 24
"""Decoding on over so many packets is quicker than to seek."""
MOST_HELD = 25
"""A picture stays on screen for no more damaged ones than these."""
FAR_PACKETS = 600
"""A forward reader skips more than these, if it can."""


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

    def close(self) -> None:
        """Close the file."""


class PyAVFrames:
    """Frames by PyAV: decoding starts at safe points alone, and goes on from where it is.

    Args:
        path: the file.
        info: its properties.
        size: see :func:`open_video`.
    """

    near = NEAR_PACKETS

    def __init__(self, path: Path, info: VideoInfo, size: Size) -> None:
        self.path, self.info, self.fit = path, info, fit_of(info, size)
        self.times, self.duration_s = info.times, info.duration_s
        self.walk: Walk | None = None
        self.scaler = VideoReformatter()
        self.decoding: Iterator[Decoded] = iter(())
        self.shown: Numbered | None = None
        """What is on screen."""
        self.ahead: Numbered | None = None
        """What comes next, where it is decoded already."""

    def frames(self, indices: NDArray[np.int64]) -> Pixels:
        """See :meth:`Frames.frames`."""
        unique, inverse = np.unique(indices, return_inverse=True)
        pictures = np.empty((len(unique), *self.fit.cropped, 3), np.uint8)
        for place, number in enumerate(unique.tolist()):
            pictures[place] = self.picture(number, self.fit)
        return pictures if np.array_equal(unique, indices) else pictures[inverse]

    def close(self) -> None:
        """See :meth:`Frames.close`."""
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
        sizes: see :func:`open_video`; several, where each frame is wanted in several.
    """

    near = FAR_PACKETS

    def __init__(self, path: Path, info: VideoInfo, *sizes: Size) -> None:
        super().__init__(path, info, sizes[0])
        self.fits = [fit_of(info, size) for size in sizes]
        self.kept: dict[tuple[int, int], Pixels] = {}

    def frames(self, indices: NDArray[np.int64]) -> Pixels:
        """See :meth:`Frames.frames`."""
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


class DecordFrames:
    """Frames by decord, single-threaded; by PyAV from its first failure on.

    Args:
        path: the file.
        info: its properties.
        size: see :func:`open_video`.

    Raises:
        VideoError: decord cannot read it, or shows other pictures, or the same ones at other times.
    """

    def __init__(self, path: Path, info: VideoInfo, size: Size) -> None:
        self.times, self.duration_s = info.times, info.duration_s
        self.info, self.instead = info, PyAVFrames(path, info, size)
        self.fit = self.instead.fit
        height, width = self.fit.scaled
        self.path, self.failed = path, False
        self.complaints = COMPLAINTS.count
        try:
            self.reader = decord.VideoReader(name_of(path), width=width, height=height, num_threads=1)
            if "decord" not in info.verdicts:
                self.judge(right=self.agrees())
        except DECORD_ERRORS as error:
            self.judge(right=False)
            raise VideoError(f"decord cannot open it: {reason(error)}") from error
        if not info.verdicts["decord"]:
            raise VideoError("decord shows other pictures than PyAV")

    def agrees(self) -> bool:
        """Compare its times, and pictures on both sides of an entry and at both ends."""
        count = len(self.times)
        stamps = self.reader.get_frame_timestamp(np.arange(len(self.reader)))[:, 0]
        if len(stamps) != count or np.abs(stamps - self.times).max() > AGREEMENT_S:
            return False
        entry = int(self.info.entry_frames[len(self.info.entry_frames) // 2])
        chosen = np.unique([0, max(0, entry - 1), entry, min(entry + 2, count - 1), count - 1])
        theirs, ours = coarse(self.read(chosen)), coarse(self.instead.frames(chosen))
        distances = np.abs(theirs[:, None] - ours[None]).mean((2, 3, 4))
        own = distances.diagonal()
        return bool((own <= np.minimum(AGREEMENT, distances.min(1) + MARGIN)).all())

    def frames(self, indices: NDArray[np.int64]) -> Pixels:
        """See :meth:`Frames.frames`."""
        unique, inverse = np.unique(indices, return_inverse=True)
        if not self.failed:
            try:
                return self.read(unique)[inverse]
            except DECORD_ERRORS:
                self.failed = True
                self.judge(right=False)
        return self.instead.frames(unique)[inverse]

    def close(self) -> None:
        """See :meth:`Frames.close`; decord closes its file by itself."""
        self.instead.close()

    def judge(self, *, right: bool) -> None:
        """Note whether decord reads this file, for this process and those to come."""
        self.info.verdicts["decord"] = right
        KNOWN.keep(self.path, self.info)

    def read(self, numbers: NDArray[np.int64]) -> Pixels:
        """Frames by decord alone."""
        pixels: Pixels = self.reader.get_batch(numbers).asnumpy()
        if pixels.shape != (len(numbers), *self.fit.scaled, 3):
            raise RuntimeError(f"decord returned shape {pixels.shape}")
        if COMPLAINTS.count > self.complaints:
            raise RuntimeError("decord has passed over damage")
        return self.fit.crop(pixels)


def coarse(pixels: Pixels) -> NDArray[np.float64]:
    """(n, 8, 8, 3) means of pictures over a grid; of smaller pictures fewer."""
    count, height, width, _ = pixels.shape
    rows, columns = min(GRID, height), min(GRID, width)
    whole = pixels[:, : height // rows * rows, : width // columns * columns]
    cells = whole.reshape(count, rows, height // rows, columns, width // columns, 3)
    return np.asarray(cells.mean((2, 4), dtype=np.float64))


def fit_of(info: VideoInfo, size: Size) -> Fit:
    """How a video's frames are scaled and cropped."""
    return size.fit(info.shown_size) if isinstance(size, Picture) else Fit(size, size, "bicubic")


def decord_may_read(info: VideoInfo, fit: Fit) -> bool:
    """Whether decord was found right, picture by picture, on files of this kind (``make bench-reading``)."""
    return (
        COMPLAINTS.are_counted
        and info.container in DECORD_CONTAINERS
        and (info.codec in DECORD_CODECS or (info.codec == "hevc" and not info.reordered))
        and info.plain
        and info.orientation == UPRIGHT
        and fit.interpolation == "bicubic"  # the only one that decord has
        and fit.scaled[1] not in UNSAFE_WIDTHS
        and info.verdicts.get("decord", True)
    )


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
    if decord_may_read(info, fit_of(info, size)):
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
