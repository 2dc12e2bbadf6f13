"""A span of a video as a small film of its own."""

from collections.abc import Iterator
from contextlib import closing
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import av
import numpy as np
from av.video.reformatter import ColorRange, Colorspace, VideoReformatter
from numpy.typing import NDArray

from sora_video.base.errors import StorageError, VideoError
from sora_video.base.files import atomic_path

from ..decode import open_video
from ..inspect import VideoInfo
from ..known import KNOWN
from ..opening import open_media, reason, sound_stream
from ..pictures import screen_size
from ..readers.pulse import beat
from ..slices import frames_at, thin
from ..timeline import Follower
from .picture import Settings, clock
from .sound import keep_sound

__all__ = ["Cut", "cut_file"]

TICK = Fraction(1, 90_000)
AT_ONCE = 32
"""Frames that are held in memory."""
X264 = {"preset": "veryfast", "crf": "20", "threads": "1", "bf": "0"}
MP4 = {"movie_timescale": "90000", "movflags": "faststart"}
EARLIER_S = 1.0
"""Where reading of sound begins before the span: a seek may end late."""


class Cut(NamedTuple):
    """What to cut."""

    source: Path
    target: Path
    """The file to write; it appears whole or not at all."""
    start_s: float
    end_s: float
    """After the start; what lies behind the video's end is left out."""
    settings: Settings
    """Size and frame rate."""
    indexes: Path | None
    """Folder of the indexes of videos; None: there is none."""


def cut_file(task: Cut) -> Iterator[float | StorageError]:
    """Cut a span in a reader: H.264, upright, with its sound.

    Args:
        task: what to cut.

    Yields:
        Seconds of the film, or why it cannot be written.

    Raises:
        VideoError: the video cannot be read, or ends before the span.
    """
    KNOWN.keep_in(task.indexes)
    info = KNOWN.inspect(task.source)
    end_s = min(task.end_s, info.duration_s)
    if task.start_s >= end_s:
        raise VideoError(f"lasts {info.duration_s:.1f} s; nothing lies at {task.start_s:.1f} s")
    try:
        write(task._replace(end_s=end_s), info)
        yield end_s - task.start_s
    except StorageError as error:
        yield error
    except (av.FFmpegError, ValueError) as error:
        raise VideoError(f"cannot be cut: {reason(error)}") from error


def write(task: Cut, info: VideoInfo) -> None:
    """Write the film."""
    numbers = thin(info.times, info.duration_s, task.settings.fps)
    shown = frames_at(info.times, np.array([task.start_s]))[0]
    numbers = numbers[(numbers > shown) & (info.times[numbers] < task.end_s)]
    numbers = np.concatenate([[shown], numbers])
    begins = np.maximum(info.times[numbers], task.start_s)
    stamps = np.rint((np.append(begins, task.end_s) - task.start_s) / float(TICK)).astype(np.int64)
    height, width = screen_size(info, task.settings.size)
    with (
        open_media(task.source) as given,
        atomic_path(task.target) as path,
        av.open(path, "w", format="mp4", container_options=MP4) as made,
    ):
        stream = made.add_stream("libx264", options=X264, time_base=TICK, height=height, width=width)
        stream.pix_fmt = "yuv420p"
        stream.codec_context.colorspace = Colorspace.SMPTE170M  # of what is made of RGB
        stream.codec_context.color_range = ColorRange.MPEG
        write_sound = SoundWriter(task, info, given, made)
        write_pictures(task.source, made, stream, numbers, stamps, (height, width))
        write_sound()


def write_pictures(
    source: Path,
    made: av.container.OutputContainer,
    stream: av.VideoStream,
    numbers: NDArray[np.int64],
    stamps: NDArray[np.int64],
    size: tuple[int, int],
) -> None:
    """Encode some frames of a video, each from one stamp to the next."""
    lasts, scaler = dict(zip(stamps.tolist(), np.diff(stamps).tolist(), strict=False)), VideoReformatter()
    with closing(open_video(source, size)) as frames:
        for first in range(0, len(numbers), AT_ONCE):
            part = slice(first, first + AT_ONCE)
            for pixels, stamp in zip(frames.frames(numbers[part]), stamps[:-1][part].tolist(), strict=True):
                whole = av.VideoFrame.from_ndarray(pixels, format="rgb24")
                frame = scaler.reformat(whole, format="yuv420p", threads=1)
                frame.pts, frame.time_base = stamp, TICK
                mux(made, stream, frame, lasts)
                beat()
    mux(made, stream, None, lasts)


def mux(
    made: av.container.OutputContainer,
    stream: av.VideoStream,
    frame: av.VideoFrame | None,
    lasts: dict[int, int],
) -> None:
    """Encode a frame, or what the encoder still holds, and say how long each lasts."""
    for packet in stream.encode(frame):
        assert packet.pts is not None  # of what was encoded
        packet.duration = lasts[packet.pts]
        made.mux(packet)


class SoundWriter:
    """Copies the sound of a span.

    Args:
        task: what to cut.
        info: of the video.
        given: the video, opened.
        made: the film.
    """

    def __init__(
        self,
        task: Cut,
        info: VideoInfo,
        given: av.container.InputContainer,
        made: av.container.OutputContainer,
    ) -> None:
        self.given, self.audio, self.shifts = given, sound_stream(given), info.part_shifts_s
        self.begin, self.end = (Fraction(info.origin_s + second) for second in (task.start_s, task.end_s))
        self.sound = None if self.audio is None else keep_sound(self.audio, made, self.begin)

    def __call__(self) -> None:
        """Write it."""
        if self.audio is None or self.sound is None:
            return
        is_one_part, tick = len(self.shifts) == 1, clock(self.audio)
        if is_one_part:
            self.given.seek(max(0, int((self.begin - Fraction(EARLIER_S)) / tick)), stream=self.audio)
        follower = Follower(self.given, self.audio, self.shifts)
        for packet in self.given.demux(self.audio):
            beat()
            if not packet.size or packet.pts is None:
                continue
            follower.move(packet)
            if is_one_part and packet.pts * tick >= self.end:
                break
            if self.begin <= packet.pts * tick < self.end:
                self.sound.take(packet)
        self.sound.close()
