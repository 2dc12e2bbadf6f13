"""Frames of a video by decord, where its pictures are those of PyAV."""

from pathlib import Path

import av  # noqa: F401, first: loaded after decord, it keeps decord's FFmpeg from printing
import decord
import numpy as np
from numpy.typing import NDArray

from sora_video.base.errors import VideoError

from .complaints import COMPLAINTS
from .inspect import VideoInfo
from .known import KNOWN
from .opening import name_of, reason
from .picture import Fit, Size
from .pixels import UPRIGHT
from .pyav_frames import PyAVFrames

__all__ = ["DecordFrames", "decord_may_read"]

Pixels = NDArray[np.uint8]
DECORD_ERRORS = (decord.DECORDError, RuntimeError, AssertionError, IndexError, OSError)
UNSAFE_WIDTHS = frozenset({8, 12, 16, 24, 32, 48, 96, 144})
"""Output widths at which decord cannot copy a frame (measured with 3.3.0)."""
DECORD_CONTAINERS = frozenset({"avi", "flv", "matroska,webm", "mov,mp4,m4a,3gp,3g2,mj2"})
DECORD_CODECS = frozenset({"av1", "h264", "mjpeg", "mpeg2video", "mpeg4", "prores", "vp8", "vp9"})
AGREEMENT_S = 2e-3
"""Most that decord's float32 times may differ from the index."""
AGREEMENT, MARGIN = 8.0, 0.5
"""Most grey levels that decord's pictures may differ by, on average over an 8x8 grid of means: two scalers
never agree on fine detail, nor two conversions on strong colours. None of the others compared may be
nearer by more than the margin."""
GRID = 8


class DecordFrames:
    """Frames by decord, single-threaded; by PyAV from its first failure on.

    Args:
        path: the file.
        info: its properties.
        size: see :func:`.decode.open_video`.

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
        """See :meth:`.decode.Frames.frames`."""
        unique, inverse = np.unique(indices, return_inverse=True)
        if not self.failed:
            try:
                return self.read(unique)[inverse]
            except DECORD_ERRORS:
                self.failed = True
                self.judge(right=False)
        return self.instead.frames(unique)[inverse]

    def close(self) -> None:
        """See :meth:`.decode.Frames.close`; decord closes its file by itself."""
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


def decord_may_read(info: VideoInfo, fit: Fit) -> bool:
    """Whether decord was found right, picture by picture, on files of this kind (``make bench-reading``).

    Args:
        info: the file's properties.
        fit: how its frames are scaled.
    """
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
