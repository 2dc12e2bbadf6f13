"""Queries and stored videos: the likeness of each of their slices to each stored one.

Stored vectors are compared as they are stored, see :mod:`sora_video.index.store.whitening`: a slice
is whitened once, for its length, however many queries it is compared with.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sora_video.pretrain.encoders.aspects import Aspect

from ..store.segment import Segment
from ..store.snapshot import Held, Snapshot
from ..store.whitening import Whitening
from .threads import threads_for

__all__ = ["Compared", "Comparison"]


@dataclass(frozen=True, eq=False)
class Compared:
    """A stored video compared with Q queries, its N slices in order of time."""

    start_s: NDArray[np.float64]
    """(N,)"""
    end_s: NDArray[np.float64]
    """(N,)"""
    likeness: NDArray[np.float32]
    """(Q, N)"""
    still: NDArray[np.bool_]
    """(N,) whether a slice shows nothing."""

    def select(self, kept: NDArray[np.bool_]) -> "Compared":
        """Some of the slices.

        Args:
            kept: (N,) mask.
        """
        return Compared(self.start_s[kept], self.end_s[kept], self.likeness[:, kept], self.still[kept])


class Comparison:
    """Compares queries with the videos of a snapshot.

    Args:
        snapshot: an opened library.
        aspect: compare the parts of embeddings alone; None: whole embeddings.
        is_mild: whiten less, as videos are ranked.
    """

    def __init__(self, snapshot: Snapshot, aspect: Aspect | None = None, is_mild: bool = False) -> None:
        self.snapshot, self.aspect, self.is_mild = snapshot, aspect, is_mild
        self._lengths: dict[int, NDArray[np.float32]] = {}

    @property
    def whitening(self) -> Whitening:
        """Of what is compared."""
        whitening = self.snapshot.whitening(self.aspect)
        return whitening.milder if self.is_mild else whitening

    def part(self, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
        """What is compared of (N, D) embeddings; (N, P), L2-normalised."""
        return vectors if self.aspect is None else self.aspect.part(vectors)

    def whiten(self, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
        """What is compared of (N, D) embeddings, whitened; (N, P) of length 1."""
        return self.whitening(self.part(vectors))

    def directions(self, vectors: NDArray[np.float32], plain: bool = False) -> NDArray[np.float32]:
        """The directions of queries, which :meth:`compare` takes.

        Args:
            vectors: (Q, D) embeddings of the queries.
            plain: see :meth:`compare`.

        Returns:
            (Q, P), D of them or as many as the aspect has dimensions.
        """
        parts = self.part(vectors)
        if plain:
            return parts
        with threads_for(2 * parts.size * parts.shape[1]):
            return self.whitening.directions(parts)

    def compare(
        self, directions: NDArray[np.float32], video_ids: Collection[str], plain: bool = False
    ) -> dict[str, Compared]:
        """Compare queries with stored videos.

        Args:
            directions: (Q, P) of the queries.
            video_ids: stored videos.
            plain: whether likenesses are plain cosines, without whitening.

        Returns:
            Slices and likenesses by video.

        Raises:
            LibraryError: the library does not hold one of them, or is damaged.
        """
        held = self.snapshot.find_all(video_ids)
        compared: dict[str, Compared] = {}
        for number in sorted({video.segment_no for video in held.values()}):
            members = [video for video in held.values() if video.segment_no == number]
            slices = sum(video.entry.rows for video in members)
            with threads_for(directions.size * slices):
                compared |= self._compare(directions, number, members, plain)
        return compared

    def _compare(
        self, directions: NDArray[np.float32], number: int, members: list[Held], plain: bool
    ) -> dict[str, Compared]:
        """Compare queries with videos of one segment, whose vectors are read together."""
        segment = self.snapshot.whole(number)
        first_rows = [member.entry.first_row for member in members]
        counts = [member.entry.rows for member in members]
        rows = np.concatenate(
            [np.arange(first, first + count) for first, count in zip(first_rows, counts, strict=True)]
        )
        vectors = self.part(segment.read(rows))
        if plain:
            likeness = directions @ vectors.T
        else:
            lengths = self._lengths_of(segment, number, rows, vectors)
            likeness = self.whitening.likeness(directions, vectors, lengths)
        _, _, start_s, end_s, still = segment.columns(rows)
        return {
            member.entry.video_id: Compared(start_s[part], end_s[part], likeness[:, part], still[part])
            for member, part in zip(members, in_time(counts, start_s, end_s), strict=True)
        }

    def _lengths_of(
        self, segment: Segment, number: int, rows: NDArray[np.int64], vectors: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        """(n,) lengths of n rows of a segment and their vectors."""
        if number not in self._lengths:
            self._lengths[number] = np.full(segment.record.rows, np.nan, np.float32)
        known = self._lengths[number]
        missing = np.isnan(known[rows])
        if missing.any():
            known[rows[missing]] = self.whitening.lengths(vectors[missing])
        return known[rows]


def in_time(
    counts: Sequence[int], start_s: NDArray[np.float64], end_s: NDArray[np.float64]
) -> list[NDArray[np.int64]]:
    """The positions of each video's slices in order of time; ``counts`` are the videos' slice counts."""
    order = np.lexsort((end_s, start_s, np.repeat(np.arange(len(counts)), counts)))
    return np.split(order, np.cumsum(counts)[:-1])
