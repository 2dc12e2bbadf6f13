"""Vectors as embeddings are: drawn from Gaussian clusters on the sphere, along few directions of all.

Queries are further draws from the same clusters.
"""

import numpy as np
from numpy.typing import NDArray

from sora_video.index.library import Library
from sora_video.pretrain.encoders.embeddings import Embeddings

__all__ = ["FINGERPRINT", "PER_VIDEO", "Clusters", "Floats", "embeddings"]

FINGERPRINT = "b" * 64
PER_VIDEO = 20
"""Slices of a video."""
LATENT = 64
"""Directions along which vectors vary, where there are so many."""
NOISE = 0.7
"""Length of the noise around a centre of length 1: two slices of a cluster have a cosine of about 0.67."""
BLOCK = 50_000
"""Slices of one add."""
Floats = NDArray[np.float32]


class Clusters:
    """Clusters, and what is drawn from them; all by seed."""

    def __init__(self, dim: int, clusters: int, queries: int) -> None:
        rng, self.latent = np.random.default_rng(0), min(LATENT, dim)
        self.axes = np.linalg.qr(rng.normal(size=(dim, self.latent)))[0].T.astype(np.float32)
        self.centres = unit(rng.normal(size=(clusters, self.latent)).astype(np.float32))
        self.queries = self.draw(np.random.default_rng(1), queries)

    def draw(self, rng: np.random.Generator, count: int, runs: int = 1) -> Floats:
        """(count, dim) vectors, ``runs`` in a row from the same cluster."""
        cluster = np.repeat(rng.integers(0, len(self.centres), -(-count // runs)), runs)[:count]
        noise = rng.standard_normal((count, self.latent), np.float32) * np.float32(NOISE / self.latent**0.5)
        return unit((self.centres[cluster] + noise) @ self.axes)

    def fill(self, library: Library, first: int, end: int, runs: int = 1) -> None:
        """Add slices ``first`` to ``end``."""
        for start in range(first, end, BLOCK):
            count = min(BLOCK, end - start)
            vectors = self.draw(np.random.default_rng([2, start]), count, runs)
            library.add(embeddings(vectors, start))


def unit(vectors: Floats) -> Floats:
    """Vectors of length 1."""
    scaled: Floats = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return scaled


def embeddings(vectors: Floats, first: int) -> Embeddings:
    """Slices from number ``first`` on, as embeddings of videos."""
    number = np.arange(first, first + len(vectors))
    place = number % PER_VIDEO
    return Embeddings(
        video_id=np.array([f"{n:08d}.mp4" for n in number // PER_VIDEO], dtype=object),
        slice_no=place.astype(np.int32),
        start_s=place.astype(np.float64),
        end_s=place.astype(np.float64) + 2,
        vectors=vectors,
        fingerprint=FINGERPRINT,
    )
