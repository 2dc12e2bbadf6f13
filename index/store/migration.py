"""Embeddings by another encoder that a library keeps until it has them of all videos.

migration/FINGERPRINT/ID/part-000000.parquet    of the videos whose first slices have ids below ID

A round has the videos that were there when it began, and no video of an earlier round. What is added to the
library, or replaced, while it lasts has higher ids, and is in the next round.
"""

import shutil
from collections.abc import Collection, Iterator
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np

from sora_video.base.storage import storage_errors
from sora_video.pretrain.encoders.embeddings import part_paths, read_embeddings, write_embeddings

from .snapshot import Held, Snapshot

__all__ = ["Round", "erase", "first_id", "forget", "place_of", "rounds_of"]

MIGRATION = "migration"
DIGITS = 16
"""Of the fingerprint."""


class Round(NamedTuple):
    """Videos that are embedded together."""

    folder: Path
    """Of parts; missing before the first one is written."""
    low: int
    """Least id of their first slices."""
    high: int
    """One past the greatest."""

    def has(self, slice_id: int) -> bool:
        """Whether a video is in it.

        Args:
            slice_id: of its first slice.
        """
        return self.low <= slice_id < self.high


def place_of(library: Path, fingerprint: str) -> Path:
    """Where a library keeps embeddings by another encoder.

    Args:
        library: its folder.
        fingerprint: of that encoder.
    """
    return library / MIGRATION / fingerprint[:DIGITS]


def rounds_of(place: Path, next_slice_id: int) -> list[Round]:
    """The rounds that began, and one more where slices were written since.

    Args:
        place: see :func:`place_of`.
        next_slice_id: of the library.

    Returns:
        In order; together they have all videos of the library.
    """
    begun = [int(folder.name) for folder in place.glob("*") if folder.name.isdecimal()]
    bounds = sorted({0, *begun, next_slice_id})
    return [Round(place / f"{high:019d}", low, high) for low, high in pairwise(bounds)]


def first_id(snapshot: Snapshot, held: Held) -> int:
    """The id of the first slice of a video.

    Args:
        snapshot: the library.
        held: the video.
    """
    return int(snapshot.segments[held.segment_no].table.span(held.entry.first_row, 1)["slice_id"][0])


def erase(library: Path, videos: Collection[str]) -> None:
    """Erase videos from all parts.

    Args:
        library: its folder.
        videos: some, there or not.

    Raises:
        StorageError: the disk refused the write.
    """
    for part in parts_in(library):
        embeddings = read_embeddings(part)
        kept = ~np.isin(embeddings.video_id, list(videos))
        if kept.any() and not kept.all():
            write_embeddings(embeddings.select(kept), part)
        elif not kept.any():
            with storage_errors(part):
                part.unlink()


def parts_in(library: Path) -> Iterator[Path]:
    """All parts of all rounds."""
    for folder in library.glob(f"{MIGRATION}/*/*"):
        yield from part_paths(folder)


def forget(place: Path) -> None:
    """Delete what is not needed any more.

    Args:
        place: see :func:`place_of`.

    Raises:
        StorageError: the disk refused it.
    """
    with storage_errors(place):
        if place.exists():
            shutil.rmtree(place)
        if place.parent.exists() and not any(place.parent.iterdir()):
            place.parent.rmdir()
