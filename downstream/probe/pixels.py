"""Pixel features of a video: the baseline that learned features have to beat."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sora_video.base.errors import VideoError
from sora_video.base.progress import Bar
from sora_video.pretrain.video.corpus import Corpus, Video
from sora_video.pretrain.video.decode import open_video
from sora_video.pretrain.video.reader import span
from sora_video.pretrain.video.slices import frames_at

from .features import video_keys
from .store import FeatureStore, locked

__all__ = ["PixelFeatures", "pixel_features"]

Features = NDArray[np.float32]
GRID = (20, 32)
"""Rows and columns."""
FPS = 8.0
CHUNK = 256


@dataclass(frozen=True)
class PixelFeatures:
    """Pixel features of N videos."""

    mean_frame: Features
    """(N, 640) grey mean frame at 32 x 20."""
    motion_map: Features
    """(N, 640) mean absolute difference of consecutive grey frames at 32 x 20."""


def pixel_features(corpus: Corpus, cache: Path | None = None) -> PixelFeatures:
    """Mean frame and motion map of each video at 8 frames a second; zeros where it cannot be read.

    Args:
        corpus: N videos or spans of videos.
        cache: a folder to keep them in; None: they are not kept.

    Returns:
        The features of each video.
    """
    both = np.zeros((2, len(corpus), GRID[0] * GRID[1]), np.float32)
    if cache is None:
        for entry, (_, features) in enumerate(measured(corpus)):
            both[:, entry] = features
        return PixelFeatures(*both)
    keys, _ = video_keys(corpus, cache)
    about = {"features": "mean frame, motion map", "grid": list(GRID), "fps": FPS, "dim": GRID[0] * GRID[1]}
    store = FeatureStore(cache / "pixels", about)
    if any(key not in store for key in keys if key):
        with locked(cache):
            store.begin()
            missing = {key: video for key, video in zip(keys, corpus.videos, strict=True) if key}
            missing = {key: video for key, video in missing.items() if key not in store}
            rest = Corpus(corpus.root, tuple(missing.values()))
            for (read, features), key in zip(measured(rest), missing, strict=True):
                if read:
                    store.add(key, np.stack(features))
            store.commit()
    vectors, first, count = store.read(keys)
    for entry in np.flatnonzero(count).tolist():
        both[:, entry] = vectors[first[entry] : first[entry] + 2]
    return PixelFeatures(*both)


def measured(corpus: Corpus) -> Iterator[tuple[bool, tuple[Features, Features]]]:
    """Whether each video could be read, and its mean frame and motion map."""
    nothing = np.zeros(GRID[0] * GRID[1], np.float32)
    with Bar("pixels", len(corpus), "videos") as bar:
        for entry, video in enumerate(corpus.videos):
            try:
                yield True, mean_and_motion(video)
            except VideoError:  # the encoder's pass over the same corpus names it
                yield False, (nothing, nothing)
            bar.advance(entry + 1)


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
