"""Queries and stored videos: the likeness of each of their slices to each stored one.

Stored vectors are compared as they are stored, see :mod:`sora_video.index.store.whitening`: a slice
is whitened once, for its length, however many queries it is compared with.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

import numpy as np
from numpy.typing import NDArray

from sora_video.pretrain.encoders.aspects import Aspect

from ..store.block import Block
from ..store.whitening import Whitening
from .stored import Stored
from .threads import threads_for

__all__ = ["Compared", "Comparison", "Comparisons"]


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
    """Compares queries with the videos of a store.

    Args:
        stored: gives the videos.
        aspect: compare the parts of embeddings alone; None: whole embeddings.
        is_mild: whiten less, as videos are ranked.
    """

    def __init__(self, stored: Stored, aspect: Aspect | None = None, is_mild: bool = False) -> None:
        self.stored, self.aspect, self.is_mild = stored, aspect, is_mild
        self._lengths: dict[tuple[str, str], NDArray[np.float32]] = {}
        """By video and content."""

    @property
    def whitening(self) -> Whitening:
        """Of what is compared."""
        whitening = self.stored.whitening(self.aspect)
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
            LibraryError: the store does not hold one of them, or cannot be read.
        """
        return self.compare_blocks(directions, self.stored.blocks(video_ids), plain)

    def compare_blocks(
        self, directions: NDArray[np.float32], blocks: Iterable[Block], plain: bool = False
    ) -> dict[str, Compared]:
        """Compare queries with videos that were read before.

        Args:
            directions: (Q, P) of the queries.
            blocks: whole videos, as :attr:`stored` gives them.
            plain: see :meth:`compare`.

        Returns:
            Slices and likenesses by video.
        """
        compared: dict[str, Compared] = {}
        for block in blocks:
            with threads_for(directions.size * len(block.vectors)):
                compared |= self._compare(directions, block, plain)
        return compared

    def _compare(self, directions: NDArray[np.float32], block: Block, plain: bool) -> dict[str, Compared]:
        """Compare queries with some videos."""
        vectors, slices = self.part(block.vectors), block.slices
        if plain:
            likeness = directions @ vectors.T
        else:
            likeness = self.whitening.likeness(directions, vectors, self._lengths_of(block, vectors))
        counts = [member.rows for member in block.members]
        order = in_time(counts, slices.start_s, slices.end_s)
        start_s, end_s, still = slices.start_s[order], slices.end_s[order], slices.still[order]
        likeness = likeness[:, order]
        return {
            member.video_id: Compared(start_s[a:b], end_s[a:b], likeness[:, a:b], still[a:b])
            for member, (a, b) in zip(block.members, pairwise(accumulate(counts, initial=0)), strict=True)
        }

    def _lengths_of(self, block: Block, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
        """(n,) lengths of the n slices of some videos, whose vectors are given."""
        keys = [(member.video_id, member.content) for member in block.members]
        firsts = accumulate((member.rows for member in block.members), initial=0)
        rows = {
            key: np.arange(first, first + member.rows)
            for key, first, member in zip(keys, firsts, block.members, strict=False)
        }
        missing = [key for key in keys if key not in self._lengths]
        if missing:
            lengths = self.whitening.lengths(vectors[np.concatenate([rows[key] for key in missing])])
            ends = np.cumsum([len(rows[key]) for key in missing])[:-1]
            self._lengths.update(zip(missing, np.split(lengths, ends), strict=True))
        return np.concatenate([self._lengths[key] for key in keys])


class Comparisons:
    """The comparisons with the videos of a store, each made once.

    Args:
        stored: gives the videos.
    """

    def __init__(self, stored: Stored) -> None:
        self._stored = stored
        self._made: dict[tuple[Aspect | None, bool], Comparison] = {}

    def by(self, aspect: Aspect | None, is_mild: bool) -> Comparison:
        """One of them.

        Args:
            aspect: see :class:`Comparison`.
            is_mild: see there.
        """
        key = aspect, is_mild
        if key not in self._made:
            self._made[key] = Comparison(self._stored, aspect, is_mild)
        return self._made[key]


def in_time(
    counts: Sequence[int], start_s: NDArray[np.float64], end_s: NDArray[np.float64]
) -> NDArray[np.int64]:
    """The rows of videos, each video's in order of time; ``counts`` are the videos' slice counts."""
    return np.lexsort((end_s, start_s, np.repeat(np.arange(len(counts)), counts)))
