"""What a reader does for the pixel baselines: a video's mean frame and motion map."""

from collections.abc import Iterator
from contextlib import closing

import numpy as np
from numpy.typing import NDArray

from sora_video.pretrain.video.decode import open_forward
from sora_video.pretrain.video.reader import Span
from sora_video.pretrain.video.slices import frames_at

__all__ = ["FPS", "GRID", "mean_and_motion"]

Features = NDArray[np.float32]
GRID = (20, 32)
"""Rows and columns."""
FPS = 8.0
CHUNK = 256


def mean_and_motion(part: Span) -> Iterator[tuple[Features, Features]]:
    """One video's mean frame and motion map, read in chunks that overlap by a frame.

    Args:
        part: the video, or a span of it.

    Yields:
        Once: (640,) grey mean frame, and (640,) mean absolute difference of consecutive grey frames.

    Raises:
        VideoError: the file cannot be read.
    """
    with closing(open_forward(part.path, (2 * GRID[0], 2 * GRID[1]))) as frames:
        start_s, end_s = part.within(frames.duration_s)
        indices = frames_at(
            frames.times, np.arange(start_s + 0.5 / FPS, max(end_s, start_s + 1 / FPS), 1 / FPS)
        )
        total, motion = np.zeros(GRID), np.zeros(GRID)
        for first in range(0, len(indices), CHUNK):
            grey = frames.frames(indices[max(0, first - 1) : first + CHUNK]).mean(axis=3)
            grey = grey.reshape(len(grey), GRID[0], 2, GRID[1], 2).mean(axis=(2, 4))
            total += grey[min(first, 1) :].sum(0)
            motion += np.abs(np.diff(grey, axis=0)).sum(0)
        count = len(indices)
        yield (
            (total / count).ravel().astype(np.float32),
            (motion / max(1, count - 1)).ravel().astype(np.float32),
        )
