"""What a video file holds, read from its packets without decoding."""

from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from sora_video.base.errors import VideoError

__all__ = ["VideoInfo", "inspect", "reason", "sound_stream", "video_stream"]


@dataclass(frozen=True, kw_only=True, eq=False)
class VideoInfo:
    """One video file's properties; times are seconds from its first presented frame."""

    codec: str
    width: int
    height: int
    has_audio: bool
    origin_s: float
    """Seconds on the container's clock, which its sound has too, of the first frame."""
    times: NDArray[np.float64]
    """(N,) rising presentation times of the frames."""
    duration_s: float
    """End of the last frame."""
    pts: NDArray[np.int64] | None
    """(N,) presentation timestamps in the stream's time base; None where the container holds none."""
    keyframes: NDArray[np.int64]
    """Timestamps at which decoding can start."""
    open_gop: bool
    """Whether frames shown before a keyframe are stored after it; decord miscounts there after a seek."""

    @property
    def fps(self) -> float:
        """Mean frames a second."""
        return len(self.times) / self.duration_s


def video_stream(container: av.container.InputContainer) -> av.VideoStream:
    """The first stream that is a moving picture rather than a cover image.

    Raises:
        VideoError: there is none.
    """
    for stream in container.streams.video:
        if not stream.disposition & av.stream.Disposition.attached_pic:
            return stream
    kinds = ", ".join(sorted({stream.type for stream in container.streams})) or "no"
    raise VideoError(f"no video stream (only {kinds} streams)")


def sound_stream(container: av.container.InputContainer) -> av.AudioStream | None:
    """The main sound stream; None where there is none, or none that can be decoded."""
    stream = container.streams.best("audio")
    return stream if isinstance(stream, av.AudioStream) and stream.codec_context else None


def inspect(path: Path) -> VideoInfo:
    """Read a video's properties and presentation times.

    Where packets carry no usable timestamps (old AVI files), the frames are counted by decoding and lie on
    the stream's average frame rate.

    Args:
        path: the file.

    Returns:
        Its properties.

    Raises:
        VideoError: the file is missing, empty, damaged or has no video frame.
    """
    try:
        str(path).encode()  # decoders take names as UTF-8
        if not path.is_file():
            raise VideoError("file does not exist" if not path.exists() else "not a file")
        if path.stat().st_size == 0:
            raise VideoError("file is empty (0 bytes)")
        with av.open(path) as container:
            return read_packets(container, video_stream(container))
    except UnicodeEncodeError as error:
        raise VideoError("file name is not UTF-8; rename it") from error
    except (av.FFmpegError, OSError, ValueError) as error:
        raise VideoError(f"cannot be read: {reason(error)}") from error


def reason(error: Exception) -> str:
    """A library's complaint as one short line."""
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return text.strip().splitlines()[0]


def read_packets(container: av.container.InputContainer, stream: av.VideoStream) -> VideoInfo:
    """Collect the timestamps of one pass over the packets."""
    context = stream.codec_context
    packets = [packet for packet in container.demux(stream) if packet.size and not packet.is_discard]
    stamps = [packet.pts for packet in packets if packet.pts is not None]
    keyframes = [packet.pts for packet in packets if packet.is_keyframe and packet.pts is not None]
    # AVI holds no presentation times; where frames are reordered, those that FFmpeg puts there are guesses
    # that swap neighbouring frames.
    guessed = container.format.name == "avi" and any(packet.pts != packet.dts for packet in packets)
    stamped = not guessed and len(set(stamps)) == len(packets)
    tick = float(stream.time_base or 1)
    if stamped:
        pts = np.sort(np.array(stamps, np.int64))
        times, origin_s = (pts - pts[:1]).astype(np.float64) * tick, float(pts[0] * tick) if len(pts) else 0.0
        last = max(packets, key=lambda packet: packet.pts or 0, default=None)
        final_s = (last.duration or 0) * tick if last else 0.0
    else:
        pts, origin_s = None, 0.0
        rate = float(stream.average_rate or stream.guessed_rate or 25)
        times = np.arange(count_frames(container, stream), dtype=np.float64) / rate
        final_s = 1 / rate
    if len(times) == 0:
        raise VideoError("no video frames")
    if final_s <= 0:
        final_s = float(np.median(np.diff(times))) if len(times) > 1 else 1 / 25
    return VideoInfo(
        codec=context.name,
        width=context.width,
        height=context.height,
        has_audio=bool(container.streams.audio),
        origin_s=origin_s,
        times=times,
        duration_s=float(times[-1] + final_s),
        pts=pts,
        keyframes=np.sort(np.array(keyframes, np.int64)),
        open_gop=has_leading_frames(packets),
    )


def has_leading_frames(packets: "list[av.Packet[av.VideoStream]]") -> bool:
    """Whether any packet is presented before the keyframe it is stored behind."""
    keyframe = None
    for packet in packets:
        if packet.is_keyframe:
            keyframe = packet.pts
        elif keyframe is not None and packet.pts is not None and packet.pts < keyframe:
            return True
    return False


def count_frames(container: av.container.InputContainer, stream: av.VideoStream) -> int:
    """Number of frames that decoding yields."""
    container.seek(0)
    return sum(1 for _ in container.decode(stream))
