"""Pictures and clips cut out of a video: a contact sheet of moments, a film of spans."""

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from sora_video.base.figures import STYLE
from sora_video.base.files import atomic_path
from sora_video.pretrain.video.decode import Frames, open_video
from sora_video.pretrain.video.inspect import inspect
from sora_video.pretrain.video.prepare import upright_size
from sora_video.pretrain.video.slices import frames_at
from sora_video.pretrain.video.sound import RATE, read_sound

__all__ = ["draw_contact_sheet", "write_highlight"]

COLUMNS, PICTURE, FILM = 4, 180, 360
"""Pictures in a row of the sheet, and the short sides in pixels of its pictures and of the film."""
TICK = Fraction(1, 90_000)
X264 = {"x264-params": "bframes=0"}
"""Frames in the order that they are shown, so that MP4 holds how long each is, however uneven."""
CHUNK = 32
"""Frames decoded at once, to bound memory."""


def draw_contact_sheet(video: Path, moments: Sequence[float], path: Path) -> None:
    """Write frames of a video with their times as PNG.

    Args:
        video: the file.
        moments: seconds at which the frames are on screen.
        path: the PNG file.

    Raises:
        StorageError: the disk is full.
        VideoError: the video cannot be read.
    """
    height, width = upright_size(video, PICTURE)
    frames = open_video(video, (height, width))
    pixels = frames.frames(frames_at(frames.times, np.asarray(moments)))
    rows = -(-len(moments) // COLUMNS)
    with mpl.rc_context(STYLE), atomic_path(path) as beside:
        size = (COLUMNS * width / 100, rows * (height + 28) / 100)
        figure = Figure(figsize=size, layout="constrained")
        grid = figure.subplots(rows, COLUMNS, squeeze=False).ravel()
        for axes in grid:
            axes.set_axis_off()
        for axes, picture, moment in zip(grid, pixels, moments, strict=False):
            axes.imshow(picture)
            axes.set_title(f"{int(moment // 60)}:{moment % 60:05.2f}")
        figure.savefig(beside, dpi=100)


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
    size, info = upright_size(video, FILM), inspect(video)
    frames = open_video(video, size)
    sounds = [
        read_sound(video, info.origin_s, np.array([start_s]), end_s - start_s) for start_s, end_s in spans
    ]
    with atomic_path(path) as beside, av.open(beside, "w", format="mp4") as made:
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
    """(S,) samples to be heard ``offset`` samples after the film's start."""
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
