"""One feature vector a video."""

from contextlib import suppress
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sora_video.configs.errors import VideoError
from sora_video.pretrain.corpus import Corpus, Video
from sora_video.pretrain.data import span
from sora_video.pretrain.decode import open_video
from sora_video.pretrain.embed import VideoEncoder
from sora_video.pretrain.embeddings import pool
from sora_video.pretrain.quarantine import Failure
from sora_video.pretrain.slices import frames_at
from sora_video.pretrain.tracking import Bar

__all__ = ["PixelFeatures", "pixel_features", "video_features"]

Features = NDArray[np.float32]
GRID = (20, 32)
"""Rows and columns of the pixel baselines."""
FPS = 8.0
CHUNK = 256


def video_features(encoder: VideoEncoder, corpus: Corpus) -> tuple[Features, tuple[Failure, ...]]:
    """Mean embedding of each video's slices, L2-normalised.

    Args:
        encoder: a frozen encoder.
        corpus: N videos or spans of videos.

    Returns:
        (N, D) features, rows of zeros where a video cannot be read, and which those are.
    """
    embeddings = encoder.embed(corpus)
    return pool(embeddings, corpus), embeddings.failures


@dataclass(frozen=True)
class PixelFeatures:
    """What raw pixels say of each video, the baseline that learning has to beat."""

    mean_frame: Features
    """(N, 640) grey mean frame at 32 x 20."""
    motion_map: Features
    """(N, 640) mean absolute difference of consecutive grey frames at 32 x 20."""


def pixel_features(corpus: Corpus) -> PixelFeatures:
    """Mean frame and motion map of each video at 8 frames a second; zeros where it cannot be read."""
    both = np.zeros((2, len(corpus), GRID[0] * GRID[1]), np.float32)
    with Bar("pixels", len(corpus), "videos") as bar:
        for entry, video in enumerate(corpus.videos):
            with suppress(VideoError):  # the encoder's pass over the same corpus names it
                both[:, entry] = mean_and_motion(video)
            bar.advance(entry + 1)
    return PixelFeatures(*both)


def mean_and_motion(video: Video) -> tuple[Features, Features]:
    """One video's mean frame and motion map, read in chunks that overlap by a frame."""
    frames = open_video(video.path, (2 * GRID[0], 2 * GRID[1]))
    start_s, end_s = span(video, frames)
    indices = frames_at(frames.times, np.arange(start_s + 0.5 / FPS, max(end_s, start_s + 1 / FPS), 1 / FPS))
    total, motion = np.zeros(GRID), np.zeros(GRID)
    for first in range(0, len(indices), CHUNK):
        grey = frames.frames(indices[max(0, first - 1) : first + CHUNK]).mean(axis=3)
        grey = grey.reshape(len(grey), GRID[0], 2, GRID[1], 2).mean(axis=(2, 4))
        total += grey[min(first, 1) :].sum(0)
        motion += np.abs(np.diff(grey, axis=0)).sum(0)
    count = len(indices)
    return (total / count).ravel().astype(np.float32), (motion / max(1, count - 1)).ravel().astype(np.float32)
