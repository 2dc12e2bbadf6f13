"""Near-duplicates within a library: candidates by search, then their alignment, then groups.

Every slice of every video is searched for in the other videos, and each pair of videos that has a pair of
slices above the threshold is aligned. Two videos are duplicates if the parts that they share cover enough of
the shorter one. Groups are the connected components of duplicates.

Likeness is the cosine after whitening (see :mod:`.store.whitening`). Some videos are like many, as
film of one place is. Score normalisation measures a pair between what its videos reach with videos that they
have nothing to do with, 0, and identity, 1. In the descriptor tracks of DISC (Douze et al. 2021) and VSC2022
(Pizzi et al. 2024) an independent set of videos is that background; here it is the library itself: the best
slice of the ``RIVALS``-th other video, as little has so many copies. With fewer videos it is the last one.

By an aspect, such as look or motion, all of this is done with the parts of the embeddings. Where aspects are
to agree, two videos are duplicates if they are by whole embeddings and by each aspect alone.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sora_video.base.errors import LibraryError
from sora_video.pretrain.encoders.embeddings import Embeddings

from .localize import CANDIDATES, RIVALS, by_time
from .opened import OpenedLibrary
from .query import Query, without_times
from .search.align import AlignedSpan, align

__all__ = ["Group", "Pair", "find_duplicates"]

AGREE = False
"""Whether aspects are to agree, where nothing else is said."""
THRESHOLD = 0.5
"""Least mean likeness of the parts that two videos share."""
COVER = 0.5
"""Least fraction of the shorter video that is shared."""
FEWEST = 5
"""Least number of other videos for a background."""
BLOCK = 2048
"""Slices searched for at once."""
MOST = 0.9
"""Highest background: videos that are nearly identical are found however many copies there are."""


@dataclass(frozen=True, kw_only=True)
class Pair:
    """Two videos with parts in common."""

    query_id: str
    video_id: str
    likeness: float
    """Mean likeness of the shared parts, normalised unless that was declined; -1 without any."""
    cover: float
    """Fraction of the shorter video that is shared."""
    spans: tuple[AlignedSpan, ...]
    """The parts; those of ``query_id`` are the query's."""


@dataclass(frozen=True, kw_only=True)
class Group:
    """Videos that are near-duplicates of each other, directly or by others of the group."""

    videos: tuple[str, ...]
    pairs: tuple[Pair, ...]


def find_duplicates(
    library: OpenedLibrary,
    threshold: float = THRESHOLD,
    cover: float = COVER,
    normalize: bool = True,
    *,
    by: str | None = None,
    agree: bool = AGREE,
) -> list[Group]:
    """Find groups of near-duplicate videos.

    Args:
        library: where to look.
        threshold: least mean likeness of shared parts.
        cover: least fraction of the shorter video that they cover, above 0 and at most 1.
        normalize: measure likeness from the videos' backgrounds; False: from 0.
        by: aspect to compare by alone; None: whole embeddings.
        agree: whether two videos have to be duplicates by each aspect of the library too; of no effect where
            there are none, and by one aspect.

    Returns:
        Groups by falling size, those of equal size by name; in them videos by name, pairs by falling
        likeness.

    Raises:
        ConfigError: the library does not have the aspect.
        LibraryError: ``cover`` or ``threshold`` is out of range, or the library is damaged.
    """
    if not 0 < cover <= 1:
        raise LibraryError(f"cover={cover:g}: must be above 0 and at most 1; it is a fraction of a video")
    if not -1 <= threshold <= 1:
        raise LibraryError(f"threshold={threshold:g}: must be between -1 and 1; it is a similarity")
    pairs = find_pairs(library, threshold, cover, normalize, by)
    for aspect in library.aspects if agree and by is None else ():
        others = find_pairs(library, threshold, cover, normalize, aspect.name)
        agreed = {(pair.query_id, pair.video_id) for pair in others}
        pairs = [pair for pair in pairs if (pair.query_id, pair.video_id) in agreed]
    return group(pairs)


def find_pairs(
    library: OpenedLibrary, threshold: float, cover: float, normalize: bool, by: str | None
) -> list[Pair]:
    """Pairs of videos that are duplicates by whole embeddings, or by one aspect."""
    near = dict(neighbours(library, by))
    background = {name: background_of(others) if normalize else 0.0 for name, others in near.items()}
    pairs = []
    for (first, second), likeness in best_pairs(near):
        level = (background[first] + background[second]) / 2
        if likeness >= level + threshold * (1 - level):
            pairs.append(compare(library, first, second, threshold, level, by))
    return [pair for pair in pairs if pair.cover >= cover]


def neighbours(library: OpenedLibrary, by: str | None = None) -> Iterator[tuple[str, dict[str, float]]]:
    """Each video with the videos nearest to it, and the likeness of its best pair of slices with each."""
    comparison = library.comparison(by)
    for queries in blocks(library):
        vectors = np.concatenate([query.vectors for query in queries])
        slices = without_times(vectors, library.fingerprint)
        matches = library.search_many(Query(slices, top=CANDIDATES + 1, by=by))
        first = 0
        for query in queries:
            name, part = str(query.video_id[0]), slice(first, first + len(query))
            first = part.stop
            others = [other for other in matches.best_of(part) if other != name][:CANDIDATES]
            compared = comparison.compare(comparison.directions(query.vectors), others)
            yield name, {other: float(compared[other].likeness.max()) for other in others}


def blocks(library: OpenedLibrary) -> Iterator[list[Embeddings]]:
    """The videos of a library, some at a time, to bound memory."""
    block: list[Embeddings] = []
    for name in library.videos():
        block.append(library.embeddings(name))
        if sum(map(len, block)) >= BLOCK:
            yield block
            block = []
    if block:
        yield block


def background_of(near: Mapping[str, float]) -> float:
    """The likeness that a video has with unrelated ones; 0 with too few others to estimate it."""
    ranked = sorted(near.values(), reverse=True)
    return min(MOST, ranked[min(RIVALS, len(ranked)) - 1]) if len(ranked) >= FEWEST else 0.0


def best_pairs(near: Mapping[str, Mapping[str, float]]) -> list[tuple[tuple[str, str], float]]:
    """Each pair of near videos once, in order, with the likeness of its best pair of slices."""
    return sorted(
        {
            (min(name, other), max(name, other)): likeness
            for name, others in near.items()
            for other, likeness in others.items()
        }.items()
    )


def compare(
    library: OpenedLibrary, first: str, second: str, threshold: float, level: float, by: str | None = None
) -> Pair:
    """Align two videos, whose likeness is 0 at a level above 0."""
    query, comparison = by_time(library.embeddings(first)), library.comparison(by)
    video = comparison.compare(comparison.directions(query.vectors), [second])[second]
    likeness = (video.likeness - np.float32(level)) / np.float32(1 - level)
    if not (has_times(query.start_s, query.end_s) and has_times(video.start_s, video.end_s)):
        return pair_without_times(first, second, likeness, threshold)
    spans = align(likeness, query.start_s, query.end_s, video.start_s, video.end_s, threshold)
    shares = [
        (query.end_s.max() - query.start_s[0], [(span.query_start_s, span.query_end_s) for span in spans]),
        (video.end_s.max() - video.start_s[0], [(span.start_s, span.end_s) for span in spans]),
    ]
    whole_s, shared = min(shares, key=lambda share: share[0])
    lengths = [span.query_end_s - span.query_start_s for span in spans]
    return Pair(
        query_id=first,
        video_id=second,
        likeness=float(np.average([span.likeness for span in spans], weights=lengths)) if spans else -1.0,
        cover=min(1.0, length_s(shared) / whole_s),
        spans=tuple(spans),
    )


def has_times(start_s: NDArray[np.float64], end_s: NDArray[np.float64]) -> bool:
    """Whether the slices of a video span time; embeddings of whole videos do not."""
    return bool(end_s.max() > start_s.min())


def pair_without_times(first: str, second: str, likeness: NDArray[np.float32], threshold: float) -> Pair:
    """Two videos without times, compared by counting matching slices of their (Q, N) likeness."""
    best = likeness.max(axis=int(likeness.shape[0] <= likeness.shape[1]))  # of each slice of the shorter one
    matching = best[best >= threshold]
    return Pair(
        query_id=first,
        video_id=second,
        likeness=float(matching.mean()) if len(matching) else -1.0,
        cover=len(matching) / len(best),
        spans=(),
    )


def length_s(spans: Iterable[tuple[float, float]]) -> float:
    """Seconds that spans cover together."""
    covered, reach = 0.0, -np.inf
    for start_s, end_s in sorted(spans):
        covered += max(0.0, end_s - max(start_s, reach))
        reach = max(reach, end_s)
    return float(covered)


def group(pairs: Iterable[Pair]) -> list[Group]:
    """The connected components of pairs, by union-find."""
    parent: dict[str, str] = {}

    def root(name: str) -> str:
        while parent.setdefault(name, name) != name:
            parent[name] = name = parent[parent[name]]
        return name

    ranked = sorted(pairs, key=lambda pair: (-pair.likeness, pair.query_id, pair.video_id))
    for pair in ranked:
        first, second = sorted((root(pair.query_id), root(pair.video_id)))
        parent[second] = first
    videos: dict[str, list[str]] = {}
    for name in sorted(parent):
        videos.setdefault(root(name), []).append(name)
    groups = [
        Group(
            videos=tuple(names),
            pairs=tuple(pair for pair in ranked if root(pair.query_id) == first),
        )
        for first, names in videos.items()
    ]
    return sorted(groups, key=lambda group: (-len(group.videos), group.videos))
