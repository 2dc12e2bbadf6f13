"""The vectors that an index is built over: those to train on, their centroids, and filling.

Training vectors and centroids are functions of the seed, so that an inverted file is built bit for bit again
on the same machine with as many threads. Where FAISS sees GPUs, centroids are found there.
"""

from typing import Any

import faiss
import numpy as np
from numpy.typing import NDArray

from .gpu import on_gpus

__all__ = ["Source", "cluster"]

FAISS: Any = faiss  # its stubs know its C++ signatures, not those of its Python wrappers

BLOCK = 65_536
"""Vectors added at once."""


class Source:
    """A segment's vectors, from which indexes are built; all kinds of index share its samples and centroids.

    Args:
        vectors: the FAISS index that searches them exactly.
        seed: of the training.
    """

    def __init__(self, vectors: Any, seed: int) -> None:
        self.vectors, self.seed = vectors, seed
        self.rows, self.dim = vectors.ntotal, vectors.d
        self.stored = vectors.sa_code_size()
        """Bytes of a stored vector."""
        self._samples: dict[int, NDArray[np.float32]] = {}
        self._centroids: dict[tuple[int, int], NDArray[np.float32]] = {}

    def read(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """Stored vectors.

        Args:
            rows: (n,) row numbers.

        Returns:
            (n, D) in the order of ``rows``.
        """
        vectors: NDArray[np.float32] = self.vectors.reconstruct_batch(rows)
        return vectors

    def sample(self, count: int) -> NDArray[np.float32]:
        """Vectors to train on.

        Args:
            count: how many; all where there are fewer.

        Returns:
            (n, D) vectors drawn by the seed, in order of rows.
        """
        if count not in self._samples:
            rng = np.random.default_rng(self.seed)
            rows = rng.choice(self.rows, min(count, self.rows), replace=False)
            self._samples[count] = self.read(np.sort(rows))
        return self._samples[count]

    def centroids(self, lists: int, count: int) -> NDArray[np.float32]:
        """Centroids of a sample; they are computed once.

        Args:
            lists: how many centroids.
            count: vectors of the sample, see :meth:`sample`.

        Returns:
            (``lists``, D).
        """
        if (lists, count) not in self._centroids:
            self._centroids[lists, count] = cluster(self.sample(count), lists, self.seed)
        return self._centroids[lists, count]

    def fill(self, index: Any, first: int = 0, end: int | None = None) -> Any:
        """Add vectors to a FAISS index.

        Args:
            index: that is trained.
            first: the first row to add.
            end: the row after the last one; None: all.

        Returns:
            The index; its ids are the segment's rows.
        """
        end = self.rows if end is None else end
        for start in range(first, end, BLOCK):
            rows = np.arange(start, min(start + BLOCK, end))
            if first:
                index.add_with_ids(self.read(rows), rows)
            else:
                index.add(self.read(rows))
        return index


def cluster(vectors: NDArray[np.float32], lists: int, seed: int) -> NDArray[np.float32]:
    """Centroids on the sphere by k-means.

    Args:
        vectors: (N, D) to cluster.
        lists: how many centroids.
        seed: of their start.

    Returns:
        (``lists``, D) centroids.
    """
    dim = vectors.shape[1]
    clustering = FAISS.Clustering(dim, lists)
    clustering.seed, clustering.niter, clustering.spherical = seed, 10, True
    clustering.min_points_per_centroid, clustering.max_points_per_centroid = 1, len(vectors)
    clustering.train(vectors, on_gpus(FAISS.IndexFlatIP(dim)))
    return np.array(FAISS.vector_to_array(clustering.centroids).reshape(lists, dim))
