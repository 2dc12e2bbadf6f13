"""Pairs of videos that are duplicates: which are near each other, and which parts of them are the same.

Slices that show nothing (see :mod:`sora_video.pretrain.video.still`) are alike in many videos, and are left
out on both sides; so are videos that show something in less than ``LEAST_SHOWN`` of their slices, which a
second of film would otherwise make duplicates. Every other slice is searched for in the other videos, and
each pair of videos that has a pair of slices above the threshold is aligned. Two videos are duplicates if the
parts that they share cover enough of what the shorter one shows.

Likeness is the cosine after whitening (see :mod:`.store.whitening`). Some videos are like many, as
film of one place is. Score normalisation measures a pair between what its videos reach with videos that they
have nothing to do with, 0, and identity, 1. In the descriptor tracks of DISC (Douze et al. 2021) and VSC2022
(Pizzi et al. 2024) an independent set of videos is that background; here it is the library itself: the best
slice of the ``RIVALS``-th other video, as little has so many copies. With fewer videos it is the last one.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sora_video.pretrain.encoders.embeddings import Embeddings

from .localize import CANDIDATES, RIVALS, by_time
from .query import Query, without_times
from .search.align import AlignedSpan, align
from .search.compare import Compared
from .stores import Store

__all__ = ["Pair", "Pairing", "neighbours"]

LEAST_SHOWN = 0.25
"""Least part of a video's slices that show something."""
FEWEST_OTHERS = 5
"""Least number of other videos for a background."""
BLOCK_SLICES = 2048
"""Slices searched for at once."""
MOST_BACKGROUND = 0.9
"""Videos that are nearly identical are found however many copies there are."""


@dataclass(frozen=True, kw_only=True)
class Pair:
    """Two videos with parts in common."""

    query_id: str
    video_id: str
    likeness: float
    """Mean likeness of the shared parts, normalised unless that was declined; -1 without any."""
    cover: float
    """Fraction of the shorter video that is shared; what shows nothing does not count."""
    spans: tuple[AlignedSpan, ...]
    """The parts; those of ``query_id`` are the query's."""


class Pairing:
    """Tells which videos of a library are duplicates by whole embeddings, or by one aspect.

    Args:
        library: where to look.
        threshold: least mean likeness of shared parts.
        cover: least fraction of the shorter video that they cover.
        normalize: measure likeness from the videos' backgrounds; False: from 0.
        by: aspect to compare by alone; None: whole embeddings.

    Raises:
        ConfigError: the library does not have the aspect.
        LibraryError: the library is damaged.
    """

    def __init__(
        self, library: Store, threshold: float, cover: float, normalize: bool, by: str | None
    ) -> None:
        self.library, self.threshold, self.cover, self.by = library, threshold, cover, by
        self.near = dict(neighbours(library, by))
        self.background = {
            name: background_of(others) if normalize else 0.0 for name, others in self.near.items()
        }
        self.known: dict[tuple[str, str], Pair | None] = {}

    def candidates(self) -> list[tuple[str, str]]:
        """Each pair of videos that are near each other and have slices above the threshold, in order."""
        likely = []
        for (first, second), likeness in best_pairs(self.near):
            level = self.level(first, second)
            if likeness >= level + self.threshold * (1 - level):
                likely.append((first, second))
        return likely

    def level(self, first: str, second: str) -> float:
        """The likeness that counts as none between two videos."""
        return (self.background[first] + self.background[second]) / 2

    def pair(self, first: str, second: str) -> Pair | None:
        """Two videos aligned, in either order; None where they are no duplicates.

        Args:
            first: a video of :attr:`near`.
            second: another one.
        """
        key = (min(first, second), max(first, second))
        if key not in self.known:
            pair = self.align(*key)
            self.known[key] = pair if pair.cover >= self.cover else None
        return self.known[key]

    def align(self, first: str, second: str) -> Pair:
        """Align two videos, whose likeness is 0 at their level."""
        level = self.level(first, second)
        query, comparison = shown(self.library.embeddings(first)), self.library.comparison(self.by)
        video = comparison.compare(comparison.directions(query.vectors), [second])[second]
        video = video.select(~video.still)
        likeness = (video.likeness - np.float32(level)) / np.float32(1 - level)
        if not (has_times(query.start_s, query.end_s) and has_times(video.start_s, video.end_s)):
            return pair_without_times(first, second, likeness, self.threshold)
        spans = align(likeness, query.start_s, query.end_s, video.start_s, video.end_s, self.threshold)
        lengths = [span.query_end_s - span.query_start_s for span in spans]
        return Pair(
            query_id=first,
            video_id=second,
            likeness=float(np.average([span.likeness for span in spans], weights=lengths)) if spans else -1.0,
            cover=shared_part(query, video, spans),
            spans=tuple(spans),
        )


def neighbours(library: Store, by: str | None = None) -> Iterator[tuple[str, dict[str, float]]]:
    """Each video with the videos nearest to it, and the likeness of its best pair of slices with each.

    Args:
        library: where to look.
        by: aspect to compare by; None: whole embeddings.

    Yields:
        Videos by name; those that show too little are left out.
    """
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
            yield name, {other: best_of(compared[other]) for other in others if shows(compared[other].still)}


def best_of(video: Compared) -> float:
    """The likeness of the best pair of slices that show something."""
    return float(video.likeness[:, ~video.still].max())


def blocks(library: Store) -> Iterator[list[Embeddings]]:
    """What the videos of a library show, some videos at a time, to bound memory."""
    block: list[Embeddings] = []
    for name in library.videos():
        video = library.embeddings(name)
        if shows(video.still):
            block.append(shown(video))
        if sum(map(len, block)) >= BLOCK_SLICES:
            yield block
            block = []
    if block:
        yield block


def shows(still: NDArray[np.bool_]) -> bool:
    """Whether enough of a video's (N,) slices show something."""
    return bool((~still).mean() >= LEAST_SHOWN)


def shown(video: Embeddings) -> Embeddings:
    """The slices of a video that show something, by time."""
    return by_time(video.select(~video.still))


def background_of(near: Mapping[str, float]) -> float:
    """The likeness that a video has with unrelated ones; 0 with too few others to estimate it."""
    ranked = sorted(near.values(), reverse=True)
    return min(MOST_BACKGROUND, ranked[min(RIVALS, len(ranked)) - 1]) if len(ranked) >= FEWEST_OTHERS else 0.0


def best_pairs(near: Mapping[str, Mapping[str, float]]) -> list[tuple[tuple[str, str], float]]:
    """Each pair of near videos once, in order, with the likeness of its best pair of slices."""
    return sorted(
        {
            (min(name, other), max(name, other)): likeness
            for name, others in near.items()
            for other, likeness in others.items()
        }.items()
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


def shared_part(query: Embeddings, video: Compared, spans: Iterable[AlignedSpan]) -> float:
    """The fraction of the shorter of two videos that aligned spans cover."""
    spans = list(spans)
    whole_s, shared_s = min(
        lengths_s(query.start_s, query.end_s, [(span.query_start_s, span.query_end_s) for span in spans]),
        lengths_s(video.start_s, video.end_s, [(span.start_s, span.end_s) for span in spans]),
    )
    return min(1.0, shared_s / whole_s)


def lengths_s(
    start_s: NDArray[np.float64], end_s: NDArray[np.float64], spans: Iterable[tuple[float, float]]
) -> tuple[float, float]:
    """Seconds that slices cover together, and those of them that lie within spans."""
    slices = list(zip(start_s.tolist(), end_s.tolist(), strict=True))
    within = [
        (max(start, span_start), min(end, span_end))
        for span_start, span_end in spans
        for start, end in slices
        if max(start, span_start) < min(end, span_end)
    ]
    return length_s(slices), length_s(within)


def length_s(spans: Iterable[tuple[float, float]]) -> float:
    """Seconds that spans cover together."""
    covered, reach = 0.0, -np.inf
    for start_s, end_s in sorted(spans):
        covered += max(0.0, end_s - max(start_s, reach))
        reach = max(reach, end_s)
    return float(covered)
