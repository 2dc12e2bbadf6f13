"""The picture of a small copy: which frames of a video it keeps, when, and in what shape."""

from dataclasses import dataclass
from fractions import Fraction

import av
import numpy as np
from av.video.reformatter import ColorRange, Colorspace

from sora_video.base.errors import ConfigError, VideoError

from ..decode import to_rgb
from ..inspect import VideoInfo
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
    """What a video is reduced to.

    Raises:
        ConfigError: a value cannot be met.
    """

    size: int = 128
    """Short side in pixels; a smaller video is not enlarged."""
    fps: float = 16.0
    """Most frames a second."""

    def __post_init__(self) -> None:
        if self.size < 16 or self.size % 2:
            raise ConfigError(f"size={self.size}: must be an even number of pixels, at least 16")
        if not 0 < self.fps < float("inf"):
            raise ConfigError(f"fps={self.fps:g}: must be a number of frames a second above 0")


class Picture:
    """The picture of the copy.

    Args:
        made: the file to write to.
        video: the stream that frames come from.
        info: its properties.
        first: its first frame.
        settings: what to reduce it to.
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
        self.made, self.info, self.read = made, info, 0
        self.size = reduced(first, settings.size)
        # Times are exact on the video's own clock; a finer one than MP4 can count gaps in is replaced.
        own = info.pts is not None and clock(video) >= Fraction(1, 1_000_000)
        self.tick = clock(video) if own else Fraction(1, 90_000)
        kept = thin(info.times, info.duration_s, settings.fps)
        ends = np.append(info.times[kept], info.duration_s) / float(self.tick)
        stamps = np.rint(ends).astype(np.int64) + round(start / self.tick)
        names = kept if info.pts is None else info.pts[kept]
        self.stamps = dict(zip(names.tolist(), stamps.tolist(), strict=False))
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
            self.stream.codec_context.sample_aspect_ratio = 1 / shape if turned(first) else shape

    def take(self, frame: av.VideoFrame) -> None:
        """Encode one decoded frame, if it is one to keep."""
        stamp = self.stamps.pop(self.read if self.info.pts is None else frame.pts, None)
        self.read += 1
        if stamp is not None:
            pixels = np.ascontiguousarray(to_rgb(frame, self.size))
            small = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            small.pts, small.time_base = stamp, self.tick
            self.write(small)

    def write(self, frame: av.VideoFrame | None) -> None:
        """Encode a frame, or what the encoder still holds."""
        for packet in self.stream.encode(frame):
            packet.duration = self.durations[packet.pts]
            self.made.mux(packet)

    def close(self) -> None:
        """Write what the encoder still holds.

        Raises:
            VideoError: a frame to keep did not come.
        """
        if self.stamps:
            total = len(self.info.times)
            raise VideoError(f"{len(self.stamps)} of {total} frames are missing from the stream")
        self.write(None)


def reduced(frame: av.VideoFrame, short: int) -> tuple[int, int]:
    """Height and width of the upright copy: even, with a short side of ``short`` or as it is if smaller."""
    scale = min(1.0, short / min(frame.height, frame.width))
    height, width = (
        max(2, min(2 * round(side * scale / 2), side - side % 2)) for side in (frame.height, frame.width)
    )
    return (width, height) if turned(frame) else (height, width)


def turned(frame: av.VideoFrame) -> bool:
    """Whether an upright copy is as high as the frame is wide."""
    return round(frame.rotation / 90) % 2 == 1


def clock(stream: av.stream.Stream) -> Fraction:
    """Seconds that a stream's timestamps count in."""
    return stream.time_base or Fraction(1)
