"""A film of spans cut out of a video."""

from collections.abc import Iterator, Sequence
from contextlib import closing
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from sora_video.base.errors import StorageError
from sora_video.base.files import atomic_path
from sora_video.pretrain.video.decode import Frames, open_video
from sora_video.pretrain.video.known import KNOWN
from sora_video.pretrain.video.pictures import screen_size
from sora_video.pretrain.video.readers.readers import Request, read_once
from sora_video.pretrain.video.slices import frames_at
from sora_video.pretrain.video.sound import RATE, read_sound

__all__ = ["write_highlight"]

FILM = 360
"""Pixels of the short side."""
TICK = Fraction(1, 90_000)
X264 = {"x264-params": "bframes=0"}
"""Frames in the order that they are shown, so that MP4 holds how long each is, however uneven."""
CHUNK = 32
"""Frames decoded at once, to bound memory."""


def write_highlight(video: Path, spans: Sequence[tuple[float, float]], path: Path) -> None:
    """Write spans of a video after each other as H.264 with its sound, if it has any, in mono.

    Args:
        video: the file.
        spans: start and end of each in seconds, rising.
        path: the MP4 file.

    Raises:
        StorageError: the disk is full.
        VideoError: the video cannot be read.
    """
    task = video.absolute(), tuple(spans), path.absolute()
    refused = read_once(Request(0, cut, task, video))
    if isinstance(refused, StorageError):
        raise refused


def cut(task: tuple[Path, Sequence[tuple[float, float]], Path]) -> Iterator[StorageError | None]:
    """What a reader does for :func:`write_highlight`; yields why the film cannot be written."""
    try:
        write(*task)
    except StorageError as error:
        yield error
    else:
        yield None


def write(video: Path, spans: Sequence[tuple[float, float]], path: Path) -> None:
    """Decode and encode spans one after the other."""
    info = KNOWN.inspect(video)
    size = screen_size(info, FILM)
    sounds = [
        read_sound(video, info.origin_s, np.array([start_s]), end_s - start_s, info.part_shifts_s)
        for start_s, end_s in spans
    ]
    with (
        closing(open_video(video, size)) as frames,
        atomic_path(path) as beside,
        av.open(beside, "w", format="mp4") as made,
    ):
        film = made.add_stream("libx264", rate=max(1, round(info.fps)), options=X264, time_base=TICK)
        film.height, film.width = size
        film.pix_fmt = "yuv420p"
        has_audio = any(sound.has_audio.any() for sound in sounds)
        track = made.add_stream("aac", rate=RATE, layout="mono") if has_audio else None
        offset_s = 0.0
        for (start_s, end_s), sound in zip(spans, sounds, strict=True):
            append(made, film, frames, start_s, end_s, offset_s)
            if track:
                made.mux(track.encode(audio_frame(sound.samples[0], round(offset_s * RATE))))
            offset_s += end_s - start_s
        last = film.encode(None)
        last[-1].duration = round(offset_s / TICK) - (last[-1].pts or 0)
        made.mux(last)
        if track:
            made.mux(track.encode(None))


def audio_frame(samples: NDArray[np.int16], offset: int) -> av.AudioFrame:
    """(S,) samples that start ``offset`` samples after the film's start."""
    wave = (samples[None] / 2**15).astype(np.float32)
    frame = av.AudioFrame.from_ndarray(wave, format="fltp", layout="mono")
    frame.sample_rate, frame.pts, frame.time_base = RATE, offset, Fraction(1, RATE)
    return frame


def append(
    made: av.container.OutputContainer,
    film: av.VideoStream,
    frames: Frames,
    start_s: float,
    end_s: float,
    offset_s: float,
) -> None:
    """Encode the frames of one span so that it starts at ``offset_s``."""
    first, last = frames_at(frames.times, np.array([start_s, max(start_s, end_s - 1e-3)]))
    for number in range(first, last + 1, CHUNK):
        numbers = np.arange(number, min(number + CHUNK, last + 1))
        for frame, pixels in zip(numbers, frames.frames(numbers), strict=True):
            shown_s = offset_s + max(0.0, frames.times[frame] - start_s)
            picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24")
            picture.pts, picture.time_base = round(shown_s / TICK), TICK
            made.mux(film.encode(picture))
