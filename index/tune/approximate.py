"""Approximate indexes over the vectors of a segment: which sizes, how they are built, and how much they hold.

Sizes follow the rules that FAISS's wiki ("Guidelines to choose an index") and autofaiss publish: an inverted
file of about 4 sqrt(N) lists, trained on up to 64 vectors a list; HNSW with 32 links; product quantisers of 4
bits for each 4 dimensions. Unlike theirs, the nearest centroids are found exactly: through a graph over 4,096
centroids 6 in 100 vectors came into a wrong list, where no search looks for them, and it was not quicker.

Training vectors and centroids are functions of the seed, so that an inverted file is built bit for bit again
on the same machine with as many threads. The links of HNSW depend on which thread comes first, as FAISS adds
with all of them; they are the same again with ``OMP_NUM_THREADS=1``.

Where FAISS sees GPUs, centroids are found there, and indexes that it knows there are filled there.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property
from math import log2, sqrt
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import faiss
import numpy as np
from faiss.contrib.ondisk import merge_ondisk
from numpy.typing import NDArray

from sora_video.base.errors import StorageError
from sora_video.base.storage import storage_errors

from ..store.gpu import off_gpus, on_gpus
from ..store.vectors import silent

if TYPE_CHECKING:
    from ..store.segment import Segment

__all__ = ["SEGMENT_BLOCK", "Builder", "kinds", "lists_memory", "memory_of", "write_index"]

FAISS: Any = faiss  # its stubs know its C++ signatures, not those of its Python wrappers

LINKS = 32
"""Of a node of HNSW, twice as many in its lowest layer."""
POINTS_PER_LIST = 64
FEWEST_POINTS = 39
"""A list wants so many vectors, or its centroid is no mean of anything."""
OPQ_POINTS = 16_384
OPQ_ROUNDS = 12
"""FAISS makes 50, most of them for nothing where candidates are re-ranked."""
BLOCK = 65_536
"""Vectors added at once."""
SEGMENT_BLOCK = 16 * BLOCK
"""Vectors in memory at once where lists that lie on the disk are built again."""
EXACT_BELOW = 1000
"""So few vectors are searched exactly."""


def lists_of(rows: int) -> int:
    """Lists of an inverted file over so many vectors."""
    return max(1, min(int(2 ** round(log2(4 * sqrt(rows)))), rows // FEWEST_POINTS))


def kinds(rows: int, dim: int) -> list[str]:
    """The indexes to choose among, as FAISS's factory names them; the exact one comes first.

    Args:
        rows: vectors.
        dim: of the vectors.
    """
    if rows < EXACT_BELOW:
        return ["Flat"]
    ivf = f"IVF{lists_of(rows)}"
    parts = max(dim // 4, 1)
    width = dim if dim < 4 else 4 * parts
    return [
        "Flat",
        f"HNSW{LINKS}",
        f"{ivf},Flat",
        f"{ivf},SQ8",
        f"OPQ{parts}_{width},{ivf},PQ{parts}x4fsr",
    ]


def memory_of(kind: str, rows: int, dim: int, stored: int) -> int:
    """Bytes that a search keeps in memory, about.

    Args:
        kind: see :func:`kinds`.
        rows: vectors.
        dim: of the vectors.
        stored: bytes of a stored vector, which Flat and HNSW read all over. The others read those of few
            candidates, from the disk, which is not counted.
    """
    if kind == "Flat":
        return rows * stored
    if kind.startswith("HNSW"):
        return rows * (stored + 4 * (2 * LINKS + 4))
    parts = max(dim // 4, 1)
    code = {"Flat": 4 * dim, "SQ8": dim}.get(kind.rsplit(",", 1)[1], (parts + 1) // 2)
    return rows * (code + 8) + lists_memory(rows, dim)


def lists_memory(rows: int, dim: int) -> int:
    """Bytes of the centroids of an inverted file."""
    return lists_of(rows) * 4 * dim


class Builder:
    """Builds indexes over one segment; those with inverted lists share their training.

    Args:
        segment: its vectors.
        seed: of the training.
    """

    def __init__(self, segment: "Segment", seed: int) -> None:
        self.segment, self.seed = segment, seed
        self.rows, self.dim = segment.record.rows, segment.vectors.d
        self._centroids: dict[int, NDArray[np.float32]] = {}

    @cached_property
    def sample(self) -> NDArray[np.float32]:
        """Vectors to train on."""
        count = min(self.rows, max(POINTS_PER_LIST * lists_of(self.rows), OPQ_POINTS))
        rows = np.random.default_rng(self.seed).choice(self.rows, count, replace=False)
        return self.segment.read(np.sort(rows))

    def build(self, kind: str) -> Any:
        """Train and fill an index.

        Args:
            kind: see :func:`kinds`; not Flat.

        Returns:
            A FAISS index whose ids are the segment's rows.
        """
        index = self._trained(kind)
        if kind.startswith("HNSW"):
            return self._filled(index, 0, self.rows)
        return off_gpus(self._filled(on_gpus(index), 0, self.rows))

    def build_on_disk(self, kind: str, lists_file: Path, block: int) -> Any:
        """Train and fill an inverted file whose lists stay on the disk, however large they are.

        The lists of ``block`` vectors at a time are written to files of their own, which are then merged.

        Args:
            kind: an inverted file without a transform.
            lists_file: will hold the lists.
            block: vectors that memory may hold.

        Returns:
            The index; its lists are mapped from ``lists_file``.
        """
        index = self._trained(kind)
        empty = FAISS.serialize_index(index)
        with TemporaryDirectory(dir=lists_file.parent, prefix=".lists.") as folder:
            parts = []
            for first in range(0, self.rows, block):
                part = FAISS.deserialize_index(empty)
                self._filled(part, first, min(first + block, self.rows))
                parts.append(str(Path(folder) / f"{first}.faiss"))
                with writing(lists_file):
                    FAISS.write_index(part, parts[-1])
            reserve(lists_file, self.rows * (8 + FAISS.extract_index_ivf(index).code_size))
            with silent(), writing(lists_file):
                merge_ondisk(index, parts, str(lists_file))
        return index

    def _trained(self, kind: str) -> Any:
        """An index that is ready to be filled."""
        index = FAISS.index_factory(self.dim, kind, FAISS.METRIC_INNER_PRODUCT)
        if kind.startswith("HNSW"):
            return index
        ivf = FAISS.downcast_index(FAISS.extract_index_ivf(index))
        if isinstance(index, FAISS.IndexPreTransform):
            sample = self._train_transform(index)
            centroids = self._cluster(sample, ivf.nlist)
        else:
            sample = self.sample
            if ivf.nlist not in self._centroids:
                self._centroids[ivf.nlist] = self._cluster(sample, ivf.nlist)
            centroids = self._centroids[ivf.nlist]
        ivf.quantizer.add(centroids)
        if hasattr(ivf, "pq"):
            ivf.pq.cp.seed = self.seed
        ivf.train(sample)
        index.is_trained = True
        return index

    def _train_transform(self, index: Any) -> NDArray[np.float32]:
        """Train the rotation of OPQ; returns the rotated sample."""
        rotation = FAISS.downcast_VectorTransform(index.chain.at(0))
        parts = rotation.M
        quantiser = FAISS.ProductQuantizer(rotation.d_out, parts, 4)
        quantiser.cp.seed = self.seed
        rotation.niter = OPQ_ROUNDS
        rotation.pq = quantiser  # of the same bits as the index; by default it is of 8, and slow to train
        rotation.train(self.sample[:OPQ_POINTS])
        rotation.pq = None
        rotated: NDArray[np.float32] = rotation.apply(self.sample)
        return rotated

    def _cluster(self, vectors: NDArray[np.float32], lists: int) -> NDArray[np.float32]:
        """Centroids on the sphere by k-means."""
        dim = vectors.shape[1]
        clustering = FAISS.Clustering(dim, lists)
        clustering.seed, clustering.niter, clustering.spherical = self.seed, 10, True
        clustering.min_points_per_centroid, clustering.max_points_per_centroid = 1, len(vectors)
        clustering.train(vectors, on_gpus(FAISS.IndexFlatIP(dim)))
        return np.array(FAISS.vector_to_array(clustering.centroids).reshape(lists, dim))

    def _filled(self, index: Any, first: int, end: int) -> Any:
        """Add rows ``first`` to ``end`` under their own numbers."""
        for start in range(first, end, BLOCK):
            rows = np.arange(start, min(start + BLOCK, end))
            if first:
                index.add_with_ids(self.segment.read(rows), rows)
            else:
                index.add(self.segment.read(rows))
        return index


def reserve(path: Path, size: int) -> None:
    """Refuse a disk without space for a file; FAISS maps it, and a map without space ends the process.

    Args:
        path: the file, which is made.
        size: in bytes.

    Raises:
        StorageError: there is no space.
    """
    with storage_errors(path), path.open("wb") as file:
        if size:
            os.posix_fallocate(file.fileno(), 0, size)


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn what FAISS could not write for a file into a :class:`StorageError`."""
    try:
        yield
    except RuntimeError as error:
        reason = " ".join(str(error).split())
        raise StorageError(f"cannot write {path}: {reason}; free space or choose another folder") from error


def write_index(index: Any, write: Callable[[bytes], None]) -> None:
    """Write an index; HNSW without the vectors, which the segment has."""
    FAISS.write_index(index, FAISS.PyCallbackIOWriter(write), FAISS.IO_FLAG_SKIP_STORAGE)
