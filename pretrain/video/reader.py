"""Slices of videos, decoded."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sora_video.base.errors import VideoError
from sora_video.configs.schema import PretrainConfig

from .corpus import Video
from .decode import KNOWN, Frames
from .slices import Slices, cell_times, frames_at
from .sound import Sound, read_sound

__all__ = ["read_slices", "span"]


def span(video: Video, frames: Frames) -> tuple[float, float]:
    """Start and end in seconds of the part of a video that its corpus entry names.

    Raises:
        VideoError: the named part lies beyond the video's end.
    """
    end_s = min(video.end_s or frames.duration_s, frames.duration_s)
    if video.start_s >= end_s:
        raise VideoError(
            f"start_s={video.start_s:g} is not before its end at {end_s:.3f} s; fix the manifest"
        )
    return video.start_s, end_s


def read_slices(
    video: Video, frames: Frames, starts: NDArray[np.float64], end_s: float, config: PretrainConfig
) -> Slices[NDArray[Any]]:
    """Decode slices of one video, each frame once; sound too, where the config's encoder listens.

    Args:
        video: the file.
        frames: the same, opened.
        starts: (n,) starts in seconds.
        end_s: seconds past which the last frame is held.
        config: frames, rate and size of a slice; the encoder.

    Returns:
        n slices.
    """
    wanted = config.slice
    cells, last = cell_times(starts, wanted.frames, wanted.fps), max(0.0, end_s - 1e-3)
    indices = frames_at(frames.times, np.minimum(cells, last))
    pixels = frames.frames(indices.ravel())
    return Slices(
        pixels.reshape(*indices.shape, *pixels.shape[1:]),
        (cells <= last).sum(1).clip(min=1),
        *listen(video.path, starts, config),
    )


def listen(path: Path, starts: NDArray[np.float64], config: PretrainConfig) -> Sound:
    """The sound of slices; of no length where the config's encoder does not listen."""
    if not config.encoder.has_audio:
        return Sound(np.zeros((len(starts), 0), np.int16), np.zeros(len(starts), np.bool_))
    return read_sound(path, KNOWN.inspect(path).origin_s, starts, config.slice.length_s)
