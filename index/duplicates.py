"""Near-duplicates within a library: candidates by search, then their alignment, then groups.

Every slice of every video is searched for in the other videos, and each pair of videos that has a pair of
slices above the threshold is aligned. Two videos are duplicates if the parts that they share cover enough of
the shorter one. Groups are what duplicates join, directly or by others.

Some videos are like many. Score normalisation subtracts from a pair's similarities what their videos reach
with videos that they have nothing to do with, as in the descriptor tracks of DISC (Douze et al. 2021) and
VSC2022 (Pizzi et al. 2024). There an independent set of videos is the background; here it is the library
itself: the median score of the nearest ``NEAREST`` other videos, of which few are duplicates.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from sora_video.configs.errors import LibraryError

from .align import AlignedSpan, align
from .library import Library
from .localize import by_time

__all__ = ["NORMALIZED_THRESHOLD", "THRESHOLD", "Group", "Pair", "find_duplicates"]

THRESHOLD, NORMALIZED_THRESHOLD = 0.95, 0.02
"""Least mean similarity of the parts that two videos share; the second is of normalised similarities."""
COVER = 0.5
"""Least fraction of the shorter video that is shared."""
NEAREST = 20
"""Most videos that each is compared with."""


@dataclass(frozen=True, kw_only=True)
class Pair:
    """Two videos that share something."""

    query_id: str
    video_id: str
    score: float
    """Mean similarity of the shared parts, normalised where that was asked for."""
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
    library: Library, threshold: float | None = None, cover: float = COVER, normalize: bool = False
) -> list[Group]:
    """Find groups of near-duplicate videos.

    Args:
        library: where to look.
        threshold: least mean similarity of shared parts; None: ``THRESHOLD``, or ``NORMALIZED_THRESHOLD``.
        cover: least fraction of the shorter video that they cover, above 0 and at most 1.
        normalize: subtract what the videos reach with others.

    Returns:
        Groups by falling size, those of equal size by name; in them videos by name, pairs by falling score.

    Raises:
        LibraryError: ``cover`` or ``threshold`` is out of range, or the library is damaged.
    """
    least = threshold if threshold is not None else NORMALIZED_THRESHOLD if normalize else THRESHOLD
    if not 0 < cover <= 1:
        raise LibraryError(f"cover={cover:g}: must be above 0 and at most 1; it is a fraction of a video")
    if not -1 <= least <= 1:
        raise LibraryError(f"threshold={least:g}: must be within -1 and 1; it is a similarity")
    near = {
        name: {
            hit.video_id: hit.score
            for hit in library.search(library.embeddings(name), top=NEAREST, exclude=name)
        }
        for name in library.videos()
    }
    bias = {
        name: float(np.median([*near[name].values()])) if normalize and near[name] else 0.0 for name in near
    }
    pairs = []
    for first, second in candidates(near, bias, least):
        pair = compare(library, first, second, least, (bias[first] + bias[second]) / 2)
        if pair.cover >= cover:
            pairs.append(pair)
    return group(pairs)


def candidates(
    near: Mapping[str, Mapping[str, float]], bias: Mapping[str, float], least: float
) -> list[tuple[str, str]]:
    """Pairs of videos, each once and in order, with a pair of slices that is similar enough."""
    return sorted(
        {
            (min(name, other), max(name, other))
            for name, found in near.items()
            for other, score in found.items()
            if score - (bias[name] + bias[other]) / 2 >= least
        }
    )


def compare(library: Library, first: str, second: str, least: float, bias: float) -> Pair:
    """Align two videos; the parts they share have a mean similarity of ``least + bias`` or more."""
    query, video = by_time(library.embeddings(first)), by_time(library.embeddings(second))
    similarity = query.vectors @ video.vectors.T - np.float32(bias)
    spans = align(similarity, query.start_s, query.end_s, video.start_s, video.end_s, least)
    shares = [
        (query.end_s.max() - query.start_s[0], [(span.query_start_s, span.query_end_s) for span in spans]),
        (video.end_s.max() - video.start_s[0], [(span.start_s, span.end_s) for span in spans]),
    ]
    whole_s, shared = min(shares, key=lambda share: share[0])
    lengths = [span.query_end_s - span.query_start_s for span in spans]
    return Pair(
        query_id=first,
        video_id=second,
        score=float(np.average([span.score for span in spans], weights=lengths)) if spans else -1.0,
        cover=min(1.0, length_s(shared) / whole_s),
        spans=tuple(spans),
    )


def length_s(spans: Iterable[tuple[float, float]]) -> float:
    """Seconds that spans cover together."""
    covered, reach = 0.0, -np.inf
    for start_s, end_s in sorted(spans):
        covered += max(0.0, end_s - max(start_s, reach))
        reach = max(reach, end_s)
    return float(covered)


def group(pairs: Iterable[Pair]) -> list[Group]:
    """Join what pairs join, by union-find."""
    parent: dict[str, str] = {}

    def root(name: str) -> str:
        while parent.setdefault(name, name) != name:
            parent[name] = name = parent[parent[name]]
        return name

    ranked = sorted(pairs, key=lambda pair: (-pair.score, pair.query_id, pair.video_id))
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
    return sorted(groups, key=lambda found: (-len(found.videos), found.videos))
