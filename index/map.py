"""A map of a library: each video a point of a plane, so that videos that are alike lie together.

A video is the mean of its slices, whitened as searches compare them; slices that show nothing count only
where a video has no others. The plane is t-SNE's (van der Maaten & Hinton 2008), started from principal
components as Kobak & Berens (2019) advise. Of more than :data:`LANDMARKS` videos so many are drawn by seed
and laid out, and each other one is put at the median of those that it is most like, as Poličar et al. (2019)
begin to add points to a plane. So time and memory grow with the videos alone, and the same library has the
same map.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from sora_video.base.digests import json_sha256
from sora_video.base.errors import LibraryError
from sora_video.base.files import atomic_path, read_parquet
from sora_video.base.randomness import generator

from .opened import OpenedLibrary

__all__ = ["LibraryMap", "content_of", "map_library", "read_map", "write_map"]

VERSION = 1
"""Of the method; maps of another one are made anew."""
LANDMARKS = 2000
"""Most videos that t-SNE lays out, which takes about ten seconds of one processor."""
LEAST = 10
"""Fewer different videos have too few neighbours; their map is that of principal components."""
PERPLEXITY = 30.0
NEIGHBOURS = 10
"""Landmarks whose median another video is put at."""
BLOCK = 4096
DIGITS = 5
SEED = 0


@dataclass(frozen=True, eq=False)
class LibraryMap:
    """Where the videos of a library lie.

    Args:
        video_ids: V names, sorted.
        places: (V, 2) from 0 to 1; the longer side of the map is 1.
        content: SHA-256 of what the library held, see :func:`content_of`.

    Raises:
        ValueError: the shapes do not fit, or a place is out of range.
    """

    video_ids: list[str]
    places: NDArray[np.float64]
    content: str

    def __post_init__(self) -> None:
        if self.places.shape != (len(self.video_ids), 2):
            raise ValueError(f"places: have shape {self.places.shape}, must be ({len(self.video_ids)}, 2)")
        if not ((self.places >= 0) & (self.places <= 1)).all():
            raise ValueError("places: must be from 0 to 1")

    @property
    def map_id(self) -> str:
        """12 hexadecimal digits, other ones for another map."""
        return self.content[:12]


def content_of(library: OpenedLibrary) -> str:
    """What decides a library's map: its videos, their content and the encoder; not their attributes.

    Args:
        library: opened.

    Returns:
        64 hexadecimal digits.

    Raises:
        LibraryError: the library is damaged.
    """
    return json_sha256([VERSION, library.fingerprint, library.contents(library.videos())])


def map_library(library: OpenedLibrary) -> LibraryMap:
    """Map a library; see the module.

    Args:
        library: opened.

    Raises:
        LibraryError: the library is damaged.
    """
    names, means = library.means()
    with threadpool_limits(
        1
    ):  # several threads sum in an order of their own, and the map would be another one
        places = framed(lay_out_all(library.whiten(means)))
    return LibraryMap(names, places, content_of(library))


def lay_out_all(vectors: NDArray[np.float32]) -> NDArray[np.float64]:
    """(V, 2) places of (V, D) videos."""
    if len(vectors) <= LANDMARKS:
        return lay_out(vectors)
    chosen = np.sort(generator(SEED, "landmarks").choice(len(vectors), LANDMARKS, replace=False))
    landmarks = vectors[chosen]
    laid_out, places = lay_out(landmarks), np.empty((len(vectors), 2))
    for first in range(0, len(vectors), BLOCK):
        likeness = vectors[first : first + BLOCK] @ landmarks.T
        nearest = np.argpartition(-likeness, NEIGHBOURS, axis=1)[:, :NEIGHBOURS]
        places[first : first + BLOCK] = np.median(laid_out[nearest], axis=1)
    places[chosen] = laid_out
    return places


def lay_out(vectors: NDArray[np.float32]) -> NDArray[np.float64]:
    """(V, 2) places of some (V, D) videos, all of which are compared."""
    if len(np.unique(vectors, axis=0)) < LEAST:
        return principal(vectors)
    from sklearn.manifold import TSNE

    perplexity = min(PERPLEXITY, (len(vectors) - 1) / 3)
    places = TSNE(2, perplexity=perplexity, init="pca", random_state=SEED).fit_transform(vectors)
    return np.asarray(places, np.float64)


def principal(vectors: NDArray[np.float32]) -> NDArray[np.float64]:
    """(V, 2) the two principal components, each with its largest value above 0."""
    places = np.zeros((len(vectors), 2))
    if len(vectors):
        left, scales, _ = np.linalg.svd(
            vectors.astype(np.float64) - vectors.mean(axis=0), full_matrices=False
        )
        found = (left * scales)[:, :2]
        signs = np.sign(found[np.abs(found).argmax(axis=0), np.arange(found.shape[1])])
        places[:, : found.shape[1]] = found * signs
    return places


def framed(places: NDArray[np.float64]) -> NDArray[np.float64]:
    """Places moved and scaled to the square from 0 to 1, in whose middle they lie."""
    if not len(places):
        return places
    low, high = places.min(axis=0), places.max(axis=0)
    span = (high - low).max() or 1.0
    middle = np.clip(0.5 + (places - (low + high) / 2) / span, 0, 1)
    return np.asarray(np.round(middle, DIGITS), np.float64)


def write_map(target: Path, made: LibraryMap) -> None:
    """Write a map to a Parquet file.

    Args:
        target: the file; it appears whole or not at all.
        made: the map.

    Raises:
        StorageError: the disk refused the write.
    """
    columns = {"video_id": made.video_ids, "x": made.places[:, 0], "y": made.places[:, 1]}
    table = pa.table(columns, schema=SCHEMA.with_metadata({"content": made.content}))
    with atomic_path(target) as beside:
        pq.write_table(table, beside)


def read_map(source: Path) -> LibraryMap:
    """Read what :func:`write_map` wrote.

    Args:
        source: the file.

    Raises:
        LibraryError: there is no such file, or it holds no map.
    """
    try:
        table = read_parquet(source)
        if not table.schema.equals(SCHEMA):
            raise ValueError("it has other columns")
        places = np.stack([table[name].to_numpy() for name in ("x", "y")], axis=1)
        content = (table.schema.metadata or {})[b"content"].decode()
        return LibraryMap(table["video_id"].to_pylist(), places, content)
    except (OSError, KeyError, ValueError, pa.ArrowException) as error:
        raise LibraryError(
            f"map {source}: cannot be read: {error}; delete it to have it made anew"
        ) from error


SCHEMA = pa.schema({"video_id": pa.string(), "x": pa.float64(), "y": pa.float64()})
