"""Where a query is in the videos of a library: which videos stand out, their moments, and what is which part.

Cosines find candidates. They are ranked again by likeness, the cosine after whitening (see
:mod:`.store.whitening`): each slice of the query takes the slice of the video that it is most like,
and the mean over the query is the video's likeness, the chamfer similarity of Kordopatis-Zilos et al. (2019).

How much likeness tells a copy depends on what else the library holds: film of one place is alike. A video's
lead is measured against a rival, the ``RIVALS``-th video behind the best:

    lead = (likeness - that of the rival) / (1 - that of the rival)

It is 1 for the same film and 0 for one of many. From :data:`.search.search.SURE` on a video is said
to be where the query comes from; below, the search cannot tell.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from sora_video.pretrain.encoders.embeddings import Embeddings

from .query import Query
from .search.align import align
from .search.compare import Compared
from .search.moments import find_moments, match_level
from .search.search import Hit

if TYPE_CHECKING:
    from .opened import OpenedLibrary

__all__ = ["CANDIDATES", "RIVALS", "by_time", "localize"]

CANDIDATES = 50
"""Videos ranked again, at least."""
RIVALS = 20
"""The rival's rank after the best video; with fewer candidates it is the last one."""
FEWEST = 3
"""Least number of candidates for a lead."""
ALIKE = 1e-6
"""Distance of the rival from likeness 1 that counts as none."""


def localize(library: "OpenedLibrary", query: Query) -> list[Hit]:
    """Find the videos that a query is most like, and where in them it is.

    Args:
        library: where to look.
        query: slices of one video to look for.

    Returns:
        Hits by falling lead, those of words by falling cosine, with their ``lead`` and ``moments``, and for a
        query of several slices that have times ``aligned``.

    Raises:
        FingerprintError: another encoder made the query.
        LibraryError: the query is not L2-normalised, or the library has been damaged since.
    """
    query = replace(query, embeddings=by_time(query.embeddings))
    hits = library.search(replace(query, top=max(query.top, CANDIDATES)))
    if not hits:
        return []
    compared = compare_hits(library, query, hits)
    likeness = [float(video.likeness.max(axis=1).mean()) for video in compared]
    order = sorted(range(len(hits)), key=lambda number: -likeness[number])
    leads = [None] * len(order) if query.words else leads_of([likeness[number] for number in order])
    ranked = [replace(hits[number], lead=lead) for number, lead in zip(order, leads, strict=True)]
    videos = [compared[number] for number in order[: query.top]]
    least = match_level([video.likeness for video in videos])
    return [
        locate(query.embeddings, hit, video, least)
        for hit, video in zip(ranked[: query.top], videos, strict=True)
    ]


def compare_hits(library: "OpenedLibrary", query: Query, hits: Sequence[Hit]) -> list[Compared]:
    """The videos of hits compared with a query, with the slices that pass its filter."""
    vectors, names = query.embeddings.vectors, [hit.video_id for hit in hits]
    directions = vectors if query.words else library.comparison.directions(vectors)
    by_video = library.comparison.compare(directions, names, plain=query.words)
    compared = [by_video[hit.video_id] for hit in hits]
    if query.where is None:
        return compared
    return [video.select(query.where.within(video.start_s, video.end_s)) for video in compared]


def locate(query: Embeddings, hit: Hit, video: Compared, least: float) -> Hit:
    """A hit with its moments and alignments; slices of likeness ``least`` or more match."""
    in_time = len(query) > 1 and query.end_s.max() > query.start_s.min()
    times = (query.start_s, query.end_s, video.start_s, video.end_s)
    return replace(
        hit,
        moments=tuple(find_moments(video.likeness.max(axis=0), video.start_s, video.end_s, least)),
        aligned=tuple(align(video.likeness, *times, least)) if in_time else (),
    )


def leads_of(likeness: Sequence[float]) -> list[float | None]:
    """The lead of each video, by falling likeness of all; None of too few videos."""
    if len(likeness) < FEWEST:
        return [None] * len(likeness)
    rival = likeness[min(RIVALS, len(likeness) - 1)]
    room = max(1 - rival, ALIKE)
    return [(value - rival) / room for value in likeness]


def by_time(embeddings: Embeddings) -> Embeddings:
    """The slices of one video in order of time.

    Args:
        embeddings: N slices, in any order.

    Returns:
        The N slices by start, then by end.
    """
    return embeddings.select(np.lexsort((embeddings.end_s, embeddings.start_s)))
