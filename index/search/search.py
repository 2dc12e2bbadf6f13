"""Queries and answers: videos of a library, with the spans that are most like a query."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from sora_video.pretrain.encoders.embeddings import Embeddings

from ..store.table import Slices
from .align import AlignedSpan
from .moments import Moment
from .nearest import nearest_videos, rank
from .shelf import Shelf

__all__ = ["AGREED", "SURE", "Hit", "Matches", "find", "find_many"]

SURE = 0.65
"""Least lead of a video that is said to be where a query comes from. Of excerpts whose video was left out of
a library about one in a hundred reached it in a wrong one."""

AGREED = 0.4
"""Least lead by each aspect of such a video, where a query asks that they agree. Of excerpts whose video was
left out, 3 in 500 reached both in a wrong one, where 12 in 500 reached :data:`SURE` alone."""


@dataclass(frozen=True, kw_only=True)
class Hit:
    """A video of the library, with the span that is most like the query."""

    video_id: str
    cosine: float
    """Inner product of the two embeddings, 1 for equal ones."""
    start_s: float
    """Start of the best slice in the found video."""
    end_s: float
    query_start_s: float
    """Start of the query's slice that it is like."""
    query_end_s: float
    slice_id: int
    """Stable id of the best slice."""
    lead: float | None = None
    """How far it stands out from other videos: 0 not at all, 1 as the same film; None with too few videos."""
    leads: Mapping[str, float | None] = field(default_factory=dict)
    """Its lead by each aspect alone, where the query asked that they agree."""
    moments: tuple[Moment, ...] = ()
    """All that is like the query, best first; see :func:`sora_video.index.localize.localize`."""
    aligned: tuple[AlignedSpan, ...] = ()
    """Which part of a query of several slices is which part of the video, best first."""

    @property
    def sure(self) -> bool:
        """Whether it stands out so far that the query may be said to come from it."""
        agreed = all(lead is not None and lead >= AGREED for lead in self.leads.values())
        return self.lead is not None and self.lead >= SURE and agreed


@dataclass(frozen=True, kw_only=True)
class Matches:
    """Answers to Q queries of one vector each: the best videos, best first, each with its best slice."""

    cosines: NDArray[np.float32]
    """(Q, top) inner products; -inf past the last video."""
    slice_ids: NDArray[np.int64]
    """(Q, top) the best slice of each video; -1 past the last video."""
    segments: NDArray[np.int64]
    """(Q, top) which segment of the library it is in; -1 past the last video."""
    rows: NDArray[np.int64]
    """(Q, top) its row there; -1 past the last video."""
    videos: NDArray[np.int64]
    """(Q, top) number of the video in its segment; -1 past the last video."""
    names: tuple[Sequence[str], ...]
    """The videos of each segment, by number."""

    def video_ids(self, query: int) -> list[str]:
        """The videos of one query, best first.

        Args:
            query: its number, below Q.
        """
        pairs = zip(self.segments[query].tolist(), self.videos[query].tolist(), strict=True)
        return [self.names[segment][video] for segment, video in pairs if segment >= 0]

    def best_of(self, queries: slice) -> dict[str, float]:
        """The videos of several queries together, best first, those of equal cosine by name.

        Args:
            queries: which of the Q.

        Returns:
            The best cosine by video.
        """
        best: dict[str, float] = {}
        for query in range(*queries.indices(len(self.cosines))):
            for name, cosine in zip(self.video_ids(query), self.cosines[query].tolist(), strict=False):
                best[name] = max(cosine, best.get(name, cosine))
        return dict(sorted(best.items(), key=lambda item: (-item[1], item[0])))


def find_many(shelves: Sequence[Shelf], vectors: NDArray[np.float32], top: int) -> Matches:
    """The best videos of each of many queries; see :func:`sora_video.index.search.nearest.nearest_videos`.

    Args:
        shelves: where to look. A video is visible in at most one.
        vectors: (Q, D) L2-normalised queries.
        top: videos wanted of each, at least 1.
    """
    nearest = nearest_videos(shelves, vectors, top)
    slice_ids, there = np.full_like(nearest.rows, -1), nearest.rows >= 0
    slice_ids[there] = columns_of(shelves, nearest.segments[there], nearest.rows[there]).slice_id
    names = tuple(shelf.segment.videos for shelf in shelves)
    return Matches(**nearest._asdict(), slice_ids=slice_ids, names=names)


def find(shelves: Sequence[Shelf], query: Embeddings, top: int) -> list[Hit]:
    """The videos with the slices nearest to any of a query's.

    The best videos of all slices together are among the best of each slice, so each is searched for alone.

    Args:
        shelves: where to look. A video is visible in at most one.
        query: N slices.
        top: videos wanted, at least 1.

    Returns:
        At most ``top`` videos by falling cosine, those of equal cosine by name.
    """
    nearest = nearest_videos(shelves, query.vectors, top)
    query_row, rank_no = np.nonzero(nearest.rows >= 0)
    cosine, number = nearest.cosines[query_row, rank_no], nearest.videos[query_row, rank_no]
    segment, row = nearest.segments[query_row, rank_no], nearest.rows[query_row, rank_no]
    video_ids = [shelves[s].segment.videos[n] for s, n in zip(segment, number, strict=True)]
    names, video = np.unique(np.array(video_ids, dtype=object), return_inverse=True)
    order = np.lexsort((query_row, video))
    ranked = rank(1, np.zeros_like(video), video[order], cosine[order], names.__getitem__, top)[0]
    best = order[ranked[ranked >= 0]]
    columns = columns_of(shelves, segment[best], row[best])
    return [
        Hit(
            video_id=video_ids[entry],
            cosine=float(cosine[entry]),
            start_s=float(columns.start_s[position]),
            end_s=float(columns.end_s[position]),
            query_start_s=float(query.start_s[query_row[entry]]),
            query_end_s=float(query.end_s[query_row[entry]]),
            slice_id=int(columns.slice_id[position]),
        )
        for position, entry in enumerate(best)
    ]


def columns_of(shelves: Sequence[Shelf], segment: NDArray[np.int64], row: NDArray[np.int64]) -> Slices:
    """Ids, numbers and times of n slices, each a row of a segment; those of one segment are read together."""
    if not len(row):
        times = row.astype(np.float64)
        return Slices(row, row.astype(np.int32), times, times, row.astype(np.bool_))
    parts = [shelves[number].segment.columns(row[segment == number]) for number in np.unique(segment)]
    columns = Slices(*(np.concatenate(column) for column in zip(*parts, strict=True)))
    return columns.take(np.argsort(np.argsort(segment, kind="stable")))
