"""Pixel features of a video: the baseline that learned features have to beat."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sora_video.base.processes import worker_count
from sora_video.base.progress import Bar
from sora_video.pretrain.video.corpus import Corpus
from sora_video.pretrain.video.read import span_of
from sora_video.pretrain.video.readers.readers import Request, read_apart

from .features import video_keys
from .motion import FPS, GRID, mean_and_motion
from .store import FeatureStore, locked

__all__ = ["PixelFeatures", "pixel_features"]

Features = NDArray[np.float32]


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
        for entry, features in measured(corpus):
            both[:, entry] = features
        return PixelFeatures(*both)
    keys, _ = video_keys(corpus, cache)
    about = {"features": "mean frame, motion map", "grid": list(GRID), "fps": FPS, "dim": GRID[0] * GRID[1]}
    store = FeatureStore(cache / "pixels", about)
    if any(key not in store for key in keys if key):
        with locked(cache):
            store.start()
            missing = {key: video for key, video in zip(keys, corpus.videos, strict=True) if key}
            missing = {key: video for key, video in missing.items() if key not in store}
            rest = Corpus(corpus.root, tuple(missing.values()))
            names = list(missing)
            for entry, features in measured(rest):
                store.add(names[entry], np.stack(features))
            store.commit()
    vectors, first, count = store.read(keys)
    for entry in np.flatnonzero(count).tolist():
        both[:, entry] = vectors[first[entry] : first[entry] + 2]
    return PixelFeatures(*both)


def measured(corpus: Corpus) -> Iterator[tuple[int, tuple[Features, Features]]]:
    """Mean frame and motion map of each entry that can be read; the encoder's pass names the others."""
    requests = (
        Request(entry, mean_and_motion, span_of(video), video.path)
        for entry, video in enumerate(corpus.videos)
    )
    with Bar("pixels", len(corpus), "videos") as bar:
        videos = 0
        for entry, kind, value, _ in read_apart(requests, min(worker_count(None), len(corpus))):
            if kind == "item":
                yield entry, value
            else:
                videos += 1
                bar.advance(videos)
