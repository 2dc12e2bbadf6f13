"""The picture of a small copy: which frames of a video it keeps, their times and their size."""

from collections import deque
from dataclasses import dataclass
from fractions import Fraction

import av
import numpy as np
from av.video.reformatter import ColorRange, Colorspace, VideoReformatter
from numpy.typing import NDArray

from sora_video.base.errors import ConfigError, VideoError

from ..inspect import VideoInfo
from ..pixels import orientation, shown_size, to_rgb
from ..pyav_frames import MOST_HELD
from ..slices import thin

__all__ = ["Picture", "Settings", "clock", "reduced"]

X264 = {
    "preset": "veryfast",
    "tune": "fastdecode",  # 14 % less time for a slice, in files 7 % larger
    "crf": "20",
    "threads": "1",
    "x264-params": "keyint=8:min-keyint=8:scenecut=0:bframes=0:open-gop=0",
}


@dataclass(frozen=True)
class Settings:
    """Size and frame rate of a small copy.

    Raises:
        ConfigError: a value is out of range.
    """

    size: int = 128
    """Short side in pixels; a smaller video is not enlarged."""
    fps: float = 16.0
    """Most frames per second."""

    def __post_init__(self) -> None:
        if self.size < 16 or self.size % 2:
            raise ConfigError(f"size={self.size}: must be an even number of pixels, at least 16")
        if not 0 < self.fps < float("inf"):
            raise ConfigError(f"fps={self.fps:g}: must be a number of frames per second above 0")


class Picture:
    """The picture of the copy.

    Args:
        made: the file to write to.
        video: the stream that frames come from.
        info: its properties.
        first: its first frame.
        settings: size and frame rate.
        start: seconds in the copy at which its first frame is presented.
    """

    def __init__(
        self,
        made: av.container.OutputContainer,
        video: av.VideoStream,
        info: VideoInfo,
        first: av.VideoFrame,
        settings: Settings,
        start: Fraction,
    ) -> None:
        self.made, self.info, self.scaler = made, info, VideoReformatter()
        self.size = reduced(first, settings.size)
        # Times are exact on the video's own clock; a finer one than MP4 can count gaps in is replaced.
        tick = clock(video)
        keeps_clock = tick >= Fraction(1, 1_000_000) and is_on(info.times, tick)
        self.tick = tick if keeps_clock else Fraction(1, 90_000)
        kept = thin(info.times, info.duration_s, settings.fps)
        ends = np.append(info.times[kept], info.duration_s) / float(self.tick)
        stamps = np.rint(ends).astype(np.int64) + round(start / self.tick)
        self.due = deque(zip(kept.tolist(), stamps.tolist(), strict=False))
        """Numbers of the frames to keep that have not come, and when they are presented in the copy."""
        self.shown: tuple[int, av.VideoFrame] | None = None
        self.durations = dict(zip(stamps.tolist(), np.diff(stamps).tolist(), strict=False))
        self.stream = made.add_stream(
            "libx264",
            rate=max(1, round(settings.fps)),
            options=X264,
            time_base=self.tick,
            height=self.size[0],
            width=self.size[1],
        )
        # Say which colours the encoder makes of RGB; players would guess others for a large picture.
        self.stream.codec_context.colorspace = Colorspace.SMPTE170M
        self.stream.codec_context.color_range = ColorRange.MPEG
        if shape := video.sample_aspect_ratio:
            turned = orientation(first).transposed
            self.stream.codec_context.sample_aspect_ratio = 1 / shape if turned else shape

    def take(self, number: int | None, frame: av.VideoFrame) -> None:
        """Encode a decoded frame, if it is one to keep.

        The frame before a damaged one, which is missing, stays on screen in its place.

        Args:
            number: of the frame, in order of presentation; None: it is not shown.
            frame: the decoded frame.

        Raises:
            VideoError: see :meth:`keep_until`.
        """
        if number is not None and (self.shown is None or number > self.shown[0]):
            self.keep_until(number)
            self.shown = number, frame
            self.keep_until(number + 1)

    def keep_until(self, end: int) -> None:
        """Encode the frame on screen for all frames to keep before a number.

        Args:
            end: the number of the next frame, in order of presentation.

        Raises:
            VideoError: no frame is on screen, or the same for too many frames.
        """
        while self.due and self.due[0][0] < end:
            number, stamp = self.due.popleft()
            if self.shown is None or number - self.shown[0] > MOST_HELD:
                raise VideoError(f"frame {number} of {len(self.info.times)} cannot be decoded")
            pixels = np.ascontiguousarray(to_rgb(self.shown[1], self.size))
            # Left to the encoder, this is done by several threads, and not always with the same result.
            small = self.scaler.reformat(
                av.VideoFrame.from_ndarray(pixels, format="rgb24"), format="yuv420p", threads=1
            )
            small.pts, small.time_base = stamp, self.tick
            self.write(small)

    def write(self, frame: av.VideoFrame | None) -> None:
        """Encode a frame, and write what the encoder returns.

        Args:
            frame: with its timestamp in the copy; None: flush the encoder.
        """
        for packet in self.stream.encode(frame):
            packet.duration = self.durations[packet.pts]
            self.made.mux(packet)

    def close(self) -> None:
        """Write what the encoder still holds.

        Raises:
            VideoError: too many frames are missing.
        """
        self.keep_until(len(self.info.times))
        self.write(None)


def reduced(frame: av.VideoFrame, short: int) -> tuple[int, int]:
    """Size of the upright copy of a frame.

    Args:
        frame: as decoded, before its rotation.
        short: most pixels of the short side; a smaller frame is not enlarged.

    Returns:
        Even height and width in pixels.
    """
    scale = min(1.0, short / min(frame.height, frame.width))
    height, width = (max(2, min(2 * round(side * scale / 2), side - side % 2)) for side in shown_size(frame))
    return height, width


def is_on(times: NDArray[np.float64], tick: Fraction) -> bool:
    """Whether times are whole numbers of ticks."""
    ticks = times / float(tick)
    return bool(np.abs(ticks - np.rint(ticks)).max() < 1e-3)


def clock(stream: av.stream.Stream) -> Fraction:
    """Seconds of one tick of a stream's timestamps.

    Args:
        stream: of any kind; one without a time base ticks in seconds.
    """
    return stream.time_base or Fraction(1)
