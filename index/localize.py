"""Where a query is in the videos of a library: which videos stand out, their moments, and what is which part.

Cosines find candidates, the same ones however many videos are wanted, so that the answer to a query for fewer
is the beginning of that for more. They are ranked again by likeness, the cosine after mild whitening (see
:mod:`.store.whitening`): each slice of the query takes the slice of the video that it is most like,
and the mean over the query, by its weights where it has some, is the video's likeness, the chamfer similarity
of Kordopatis-Zilos et al. (2019).

How much likeness tells a copy depends on what else the library holds: film of one place is alike. A video's
lead is measured after whole whitening, against a rival, the ``RIVALS``-th video behind the best:

    lead = (likeness - that of the rival) / (1 - that of the rival)

It is 1 for the same film and 0 for one of many. From :data:`.search.search.SURE` on a video is said
to be where the query comes from; below, the search cannot tell. Where a query asks that aspects agree, such
as look and motion, a video has a lead by each of them alone too: film of one place looks alike, what moves
there does not.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from sora_video.pretrain.encoders.embeddings import Embeddings

from .query import Query
from .search.align import align
from .search.compare import Compared
from .search.moments import find_moments, match_level
from .search.search import Hit
from .store.block import Block

if TYPE_CHECKING:
    from .stores import Store

__all__ = ["CANDIDATES", "RIVALS", "by_time", "localize"]

CANDIDATES = 50
"""Videos ranked again together; where more are wanted, further ones follow, see :func:`candidate_blocks`."""
LEVEL_VIDEOS = 10
"""The best videos, which tell what likeness is a match."""
RIVALS = 20
"""The rival's rank after the best video; with fewer candidates it is the last one."""
FEWEST = 3
"""Least number of candidates for a lead."""
ALIKE = 1e-6
"""Distance of the rival from likeness 1 that counts as none."""

Lead = float | None
"""None over too few videos."""


def localize(library: "Store", query: Query) -> list[Hit]:
    """Find the videos that a query is most like, and where in them it is.

    Args:
        library: where to look.
        query: slices of one video to look for.

    Returns:
        Hits by falling likeness after mild whitening, those of words by falling cosine, with their ``lead``
        and ``moments``, and for a query of several slices that have times ``aligned``.

    Raises:
        ConfigError: the library does not have the aspect that the query asks by.
        FingerprintError: another encoder made the query.
        LibraryError: the query is not L2-normalised, or the library has been damaged since.
    """
    query = in_order(query)
    best = [*islice(ranked_videos(library, query), max(query.top, LEVEL_VIDEOS))]
    if not best:
        return []
    least = match_level([video.likeness for _, video in best[:LEVEL_VIDEOS]])
    return [locate(query.embeddings, hit, video, least) for hit, video in best[: query.top]]


def ranked_videos(library: "Store", query: Query) -> Iterator[tuple[Hit, Compared]]:
    """Hits with their leads, and their comparisons: block by block, in each of them the best first."""
    falling: list[float] = []
    for hits in candidate_blocks(library, query):
        names = [hit.video_id for hit in hits]
        stored = [*library.comparison().stored.blocks(names)]
        compared = compare_videos(library, query, stored)
        likeness = likenesses(compared, query.weights)
        falling = falling or sorted(likeness.values(), reverse=True)
        leads = leads_by_aspect(library, query, names)
        mild = likeness
        if not query.words:
            mild = likenesses(compare_videos(library, query, stored, is_mild=True), query.weights)
        for hit in sorted(hits, key=lambda hit: -mild[hit.video_id]):
            name = hit.video_id
            lead = None if query.words else lead_of(likeness[name], falling)
            yield replace(hit, lead=lead, leads=leads[name]), compared[name]


def candidate_blocks(library: "Store", query: Query) -> Iterator[list[Hit]]:
    """Candidates in blocks of 50, 50, 100, 200 and so on, which do not depend on how many are wanted.

    An approximate index may find others where more are asked for, so each block is a search of its own.
    """
    seen: set[str] = set()
    count = CANDIDATES
    while True:
        hits = library.search(replace(query, top=count))
        new = [hit for hit in hits if hit.video_id not in seen][: count - len(seen)]
        if new:
            yield new
        if len(hits) < count:
            return
        seen.update(hit.video_id for hit in new)
        count *= 2


def compare_videos(
    library: "Store", query: Query, stored: Iterable[Block], is_mild: bool = False
) -> dict[str, Compared]:
    """Videos compared with a query, by name, with the slices that pass its filter."""
    comparison = library.comparison(query.by, query.embeddings.aspects, is_mild)
    directions = comparison.directions(query.embeddings.vectors, plain=query.words)
    compared = comparison.compare_blocks(directions, stored, plain=query.words)
    where = query.where
    if where is None:
        return compared
    return {name: video.select(where.within(video.start_s, video.end_s)) for name, video in compared.items()}


def likenesses(compared: Mapping[str, Compared], weights: NDArray[np.float64] | None) -> dict[str, float]:
    """The likeness of a query to videos: the mean over its slices of that to a video's most alike."""
    best = {name: np.maximum.reduce(video.likeness, axis=1) for name, video in compared.items()}
    if weights is None:
        return {name: float(np.add.reduce(each)) / len(each) for name, each in best.items()}
    return {name: float(np.average(each, weights=weights)) for name, each in best.items()}


def leads_by_aspect(library: "Store", query: Query, names: Sequence[str]) -> dict[str, dict[str, Lead]]:
    """The leads of videos by each aspect alone, where the query asks that they agree; else none."""
    if not query.agree or query.words or query.by is not None:
        return {name: {} for name in names}
    aspects = library.aspects or query.embeddings.aspects
    leads = {each.name: leads_by(library, replace(query, by=each.name), names) for each in aspects}
    return {name: {by: lead[name] for by, lead in leads.items()} for name in names}


def leads_by(library: "Store", query: Query, names: Sequence[str]) -> dict[str, Lead]:
    """The leads of videos by the aspect that a query asks by, among the candidates of a search by it."""
    candidates = [hit.video_id for hit in library.search(replace(query, top=CANDIDATES))]
    stored = library.comparison().stored.blocks([*dict.fromkeys([*candidates, *names])])
    likeness = likenesses(compare_videos(library, query, stored), query.weights)
    falling = sorted((likeness[name] for name in candidates), reverse=True)
    return {name: lead_of(likeness[name], falling) for name in names}


def locate(query: Embeddings, hit: Hit, video: Compared, least: float) -> Hit:
    """A hit with its moments and alignments; slices of likeness ``least`` or more match."""
    in_time = len(query) > 1 and query.end_s.max() > query.start_s.min()
    times = (query.start_s, query.end_s, video.start_s, video.end_s)
    return replace(
        hit,
        moments=tuple(find_moments(video.likeness.max(axis=0), video.start_s, video.end_s, least)),
        aligned=tuple(align(video.likeness, *times, least)) if in_time else (),
    )


def lead_of(likeness: float, falling: Sequence[float]) -> Lead:
    """The lead of a video over others, whose likenesses fall; None over too few."""
    if len(falling) < FEWEST:
        return None
    rival = falling[min(RIVALS, len(falling) - 1)]
    return (likeness - rival) / max(1 - rival, ALIKE)


def in_order(query: Query) -> Query:
    """The query with its slices in order of time."""
    order = time_order(query.embeddings)
    weights = None if query.weights is None else query.weights[order]
    return replace(query, embeddings=query.embeddings.select(order), weights=weights)


def by_time(embeddings: Embeddings) -> Embeddings:
    """The slices of one video in order of time.

    Args:
        embeddings: N slices, in any order.

    Returns:
        The N slices by start, then by end.
    """
    return embeddings.select(time_order(embeddings))


def time_order(embeddings: Embeddings) -> NDArray[np.int64]:
    """(N,) positions of slices by start, then by end."""
    return np.lexsort((embeddings.end_s, embeddings.start_s))
