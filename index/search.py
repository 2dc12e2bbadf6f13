"""Exact search over segments, grouped by video.

The k nearest slices of a query may all belong to one video. So a round fetches k slices per query slice, and
settles each video whose best score is above all that was not fetched: nothing unseen can change it. Settled
videos are hidden from the next round, which fetches twice as many, until enough are settled.
"""

from collections.abc import Set
from dataclasses import dataclass
from typing import Any, NamedTuple

import faiss
import numpy as np
from numpy.typing import NDArray

from sora_video.pretrain.embeddings import Embeddings

from .align import AlignedSpan
from .moments import Moment
from .segment import Segment

__all__ = ["Hit", "Shelf", "find"]

FAISS: Any = faiss  # its stubs know its C++ signatures, not those of its Python wrappers

QUERY_BLOCK = 64
"""Query slices searched at once, to bound the memory of a long query."""
FIRST_FETCH = 4
"""Slices fetched at first for each video that is wanted."""


@dataclass(frozen=True, kw_only=True)
class Hit:
    """A video of the library, with the span that is most like the query."""

    video_id: str
    score: float
    """Inner product of the two embeddings, 1 for equal ones."""
    start_s: float
    """Start of the best slice in the found video."""
    end_s: float
    query_start_s: float
    """Start of the query's slice that it is like."""
    query_end_s: float
    slice_id: int
    """Stable id of the best slice."""
    moments: tuple[Moment, ...] = ()
    """All that is like the query, best first; see :func:`sora_video.index.localize.localize`."""
    aligned: tuple[AlignedSpan, ...] = ()
    """Which part of a query of several slices is which part of the video, best first."""


class Match(NamedTuple):
    """The best pair of slices of one video; sorts best first, and equal scores by name."""

    loss: float
    """The negative score."""
    video_id: str
    query_row: int
    shelf: int
    row: int


class Shelf:
    """A segment as one search sees it.

    Args:
        segment: the vectors and their slices.
        hidden: videos to leave out.
    """

    def __init__(self, segment: Segment, hidden: Set[str]) -> None:
        self.segment = segment
        self.visible = segment.visible(hidden)

    @property
    def videos(self) -> int:
        """Videos that are not hidden."""
        return len(np.unique(self.segment.video_of(np.flatnonzero(self.visible))))

    def hide(self, videos: Set[str]) -> None:
        """Leave more videos out."""
        self.visible &= self.segment.visible(videos)

    def nearest(self, vectors: NDArray[np.float32], fetch: int, place: int) -> tuple[list[Match], float]:
        """The best pair of each video among the nearest slices of each query.

        Args:
            vectors: (Q, D) queries.
            fetch: slices to fetch for each.
            place: of this shelf among its neighbours.

        Returns:
            The best ``fetch`` matches at most, and the highest score that a pair not fetched may have.
        """
        fetch = min(fetch, int(self.visible.sum()))
        if not fetch:
            return [], -np.inf
        # Always with a selector: FAISS then scores each pair on its own, so that equal slices score equally.
        selector = FAISS.IDSelectorBitmap(np.packbits(self.visible, bitorder="little"))
        found = self.segment.vectors.search(vectors, fetch, params=FAISS.SearchParameters(sel=selector))
        scores, rows = (part.ravel() for part in found)
        bound = -np.inf if fetch == self.visible.sum() else float(found[0][:, -1].max())
        query_rows = np.repeat(np.arange(len(vectors)), fetch)
        numbers = self.segment.video_of(rows)
        order = np.lexsort((rows, query_rows, -scores, numbers))
        best = order[np.unique(numbers[order], return_index=True)[1]]
        best = best[np.lexsort((numbers[best], -scores[best]))][:fetch]
        matches = [
            Match(-float(scores[n]), self.segment.videos[numbers[n]], int(query_rows[n]), place, int(rows[n]))
            for n in best
        ]
        return matches, bound


def find(segments: list[tuple[Segment, Set[str]]], query: Embeddings, top: int) -> list[Hit]:
    """The videos with the slices nearest to a query's.

    Args:
        segments: where to look, each with the videos to leave out there. A video is visible in one at most.
        query: N slices.
        top: videos wanted, at least 1.

    Returns:
        At most ``top`` videos by falling score, those of equal score by name.
    """
    best: dict[str, Match] = {}
    vectors = np.ascontiguousarray(query.vectors, np.float32)
    for first in range(0, len(query), QUERY_BLOCK):
        shelves = [Shelf(segment, hidden) for segment, hidden in segments]
        for match in settle(shelves, vectors[first : first + QUERY_BLOCK], top):
            moved = match._replace(query_row=first + match.query_row)
            best[match.video_id] = min(moved, best.get(match.video_id, moved))
    return [to_hit(match, segments[match.shelf][0], query) for match in sorted(best.values())[:top]]


def settle(shelves: list[Shelf], vectors: NDArray[np.float32], top: int) -> list[Match]:
    """The best ``top`` videos for some queries, each with its best pair."""
    settled: list[Match] = []
    wanted = min(top, sum(shelf.videos for shelf in shelves))
    fetch = FIRST_FETCH * wanted
    while len(settled) < wanted:
        results = [shelf.nearest(vectors, fetch, place) for place, shelf in enumerate(shelves)]
        bound = max(bound for _, bound in results)
        sure = sorted(match for matches, _ in results for match in matches if -match.loss > bound)
        settled += sure
        for shelf in shelves:
            shelf.hide({match.video_id for match in sure})
        fetch *= 2
    return settled[:wanted]


def to_hit(match: Match, segment: Segment, query: Embeddings) -> Hit:
    """A match with the times of its slices."""
    slices = segment.columns(np.array([match.row]))
    return Hit(
        video_id=match.video_id,
        score=-match.loss,
        start_s=float(slices.start_s[0]),
        end_s=float(slices.end_s[0]),
        query_start_s=float(query.start_s[match.query_row]),
        query_end_s=float(query.end_s[match.query_row]),
        slice_id=int(slices.slice_id[0]),
    )
