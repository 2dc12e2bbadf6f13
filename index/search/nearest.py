"""The nearest videos of many queries at once: FAISS finds candidates, their stored vectors rank them.

The k nearest slices of a query may all belong to one video, so more are fetched than are wanted. A query is
settled when nothing that was not fetched can change its k best videos. Those that are not are asked once
more, with GROWTH times the effort; what is left then, and what a filter makes few, is compared slice by
slice.

Cosines are inner products with the stored vectors, each summed on its own: equal slices have equal cosines
whatever index found them, and videos of equal cosine come by name.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .shelf import Shelf

__all__ = ["Nearest", "nearest_videos", "rank"]

QUERY_BLOCK = 1024
"""Queries searched at once, to bound memory."""
GROWTH = 8
"""Times the effort of the second round."""


class Nearest(NamedTuple):
    """The best videos of each query, best first, each with its best slice."""

    cosines: NDArray[np.float32]
    """(Q, top) inner products; -inf past the last video."""
    segments: NDArray[np.int64]
    """(Q, top) which of the segments; -1 past the last video."""
    rows: NDArray[np.int64]
    """(Q, top) the slice's row there; -1 past the last video."""
    videos: NDArray[np.int64]
    """(Q, top) the video's number there; -1 past the last video."""


def nearest_videos(shelves: Sequence[Shelf], vectors: NDArray[np.float32], top: int) -> Nearest:
    """The ``top`` best videos of each query.

    Args:
        shelves: where to look. A video is visible in at most one.
        vectors: (Q, D) L2-normalised queries.
        top: videos wanted, at least 1.

    Returns:
        Best first; videos of equal cosine by name. Exact where the indexes are.
    """
    vectors = np.ascontiguousarray(vectors, np.float32)
    nearest = no_answers(len(vectors), top)
    for first in range(0, len(vectors) if shelves else 0, QUERY_BLOCK):
        pending = np.arange(first, min(first + QUERY_BLOCK, len(vectors)))
        for growth in (1, GROWTH, None):
            answers, settled = ask(shelves, vectors[pending], top, growth)
            put(nearest, pending, answers)
            pending = pending[~settled]
            if not len(pending):
                break
    return nearest


def ask(
    shelves: Sequence[Shelf], vectors: NDArray[np.float32], top: int, growth: int | None
) -> tuple[Nearest, NDArray[np.bool_]]:
    """One round over all segments, and which queries it settled; ``growth=None`` compares every slice."""
    bounds = np.full(len(vectors), -np.inf, np.float32)
    rows, cosines = [], []
    for shelf in shelves:
        if growth is None:
            candidates = shelf.scan(vectors, top)
        else:
            candidates, bound = shelf.candidates(vectors, top, growth)
            bounds = np.maximum(bounds, bound)
        rows.append(candidates)
        cosines.append(shelf.cosines(vectors, candidates))
    nearest = best_of(shelves, rows, cosines, top)
    return nearest, (nearest.cosines[:, -1] > bounds) | (bounds == -np.inf)


def best_of(
    shelves: Sequence[Shelf], rows: list[NDArray[np.int64]], cosines: list[NDArray[np.float32]], top: int
) -> Nearest:
    """Group the candidates of all segments by video: of many, the best few, where these are enough."""
    segment = np.repeat(np.arange(len(shelves)), [part.shape[1] for part in rows])
    row, cosine = np.concatenate(rows, axis=1), np.concatenate(cosines, axis=1)
    few = 2 * top
    if row.shape[1] <= 2 * few:
        return grouped(shelves, segment, row, cosine, top)
    least = np.partition(cosine, -few, axis=1)[:, -few:][:, :1]
    nearest = grouped(shelves, segment, np.where(cosine < least, -1, row), cosine, top)
    short = np.flatnonzero(nearest.rows[:, -1] < 0)
    if len(short):
        put(nearest, short, grouped(shelves, segment, row[short], cosine[short], top))
    return nearest


def grouped(
    shelves: Sequence[Shelf],
    segment_of: NDArray[np.int64],
    row: NDArray[np.int64],
    cosine: NDArray[np.float32],
    top: int,
) -> Nearest:
    """The best videos of (Q, C) candidates, ``segment_of`` being the segment of each column."""
    query, column = np.nonzero(row >= 0)
    segment, row_of, cosine_of = segment_of[column], row[query, column], cosine[query, column]
    video = np.empty_like(row_of)
    for number, shelf in enumerate(shelves):
        inside = slice(None) if len(shelves) == 1 else segment == number
        video[inside] = shelf.segment.video_of(row_of[inside])
    first = np.cumsum([0] + [len(shelf.segment.videos) for shelf in shelves])

    def name(number: int) -> str:
        shelf_no = int(np.searchsorted(first, number, side="right")) - 1
        return shelves[shelf_no].segment.videos[number - int(first[shelf_no])]

    best = rank(len(row), query, first[segment] + video, cosine_of, name, top)
    there, nearest = best >= 0, no_answers(len(best), top)
    chosen = best[there]
    put(nearest, there, Nearest(cosine_of[chosen], segment[chosen], row_of[chosen], video[chosen]))
    return nearest


def put(nearest: Nearest, where: NDArray[Any], answers: Nearest) -> None:
    """Write answers into some rows of the result."""
    wholes: tuple[NDArray[Any], ...] = nearest
    for whole, part in zip(wholes, answers, strict=True):
        whole[where] = part


def no_answers(queries: int, top: int) -> Nearest:
    """The result before any video is found."""
    numbers = (np.full((queries, top), -1, np.int64) for _ in range(3))
    return Nearest(np.full((queries, top), -np.inf, np.float32), *numbers)


def rank(
    groups: int,
    group: NDArray[np.int64],
    video: NDArray[np.int64],
    cosine: NDArray[np.float32],
    name: Callable[[int], str],
    top: int,
) -> NDArray[np.int64]:
    """The best entry of each video, and the best videos of each group.

    Args:
        groups: how many there are.
        group: (P,) group of each entry, from 0, rising.
        video: (P,) number of its video, rising within a group.
        cosine: (P,) the higher the better; of a video's equal ones the first is taken.
        name: of a video, by which videos of equal cosine are ordered.
        top: videos wanted of each group.

    Returns:
        (groups, top) entries, best first; -1 past the last video.
    """
    if not len(cosine):
        return np.full((groups, top), -1, np.int64)
    starts = np.flatnonzero((np.diff(group, prepend=-1) != 0) | (np.diff(video, prepend=-1) != 0))
    lengths = np.diff(starts, append=len(group))
    highest = np.flatnonzero(cosine == np.repeat(np.maximum.reduceat(cosine, starts), lengths))
    run = np.repeat(np.arange(len(starts)), lengths)[highest]
    best = highest[np.diff(run, prepend=-1) != 0]
    many = np.bincount(group[best], minlength=groups)
    cell = group[best], np.arange(len(best)) - np.repeat(np.cumsum(many) - many, many)
    entries = np.full((groups, max(top, int(many.max()))), -1, np.int64)
    cosines = np.full(entries.shape, -np.inf, np.float32)
    entries[cell], cosines[cell] = best, cosine[best]
    order = np.argsort(-cosines, axis=1, kind="stable")
    falling = np.take_along_axis(cosines, order, axis=1)
    equal = (falling[:, 1:] == falling[:, :-1]) & (falling[:, 1:] > -np.inf)
    for number in np.flatnonzero(equal[:, :top].any(axis=1)):
        there = entries[number] >= 0
        names = [name(int(video_no)) for video_no in video[entries[number, there]]]
        by_name = np.unique(names, return_inverse=True)[1]
        order[number, : len(names)] = np.lexsort((by_name, -cosines[number, there]))
    return np.take_along_axis(entries, order[:, :top], axis=1)
