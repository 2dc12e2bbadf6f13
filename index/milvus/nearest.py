"""The nearest videos, found and grouped by a Milvus server, for all slices of a query in one request."""

from collections.abc import Sequence
from itertools import accumulate, pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sora_video.base.errors import LibraryError
from sora_video.pretrain.encoders.embeddings import Embeddings

from ..query import Query
from ..search.search import Hit, Matches
from .collection import Collection
from .filters import expression_of
from .state import State

__all__ = ["find", "find_many"]

MOST_RESULTS = 16_384
"""Videos that a server gives for one slice."""
RESULTS_AT_ONCE = 100_000
"""Results of one request, of all of its slices."""
GROWTH = 8
"""Times as many results that are asked for where groups are missing."""
ROUNDING = 3e-7
"""Two cosines of a server that differ by less may be of equal vectors."""
FIELDS = ["video_id", "slice_id", "start_s", "end_s"]

Found = list[dict[str, Any]]
"""Rows of the best slices of different videos, best first, with their ``distance``."""


def find(collection: Collection, query: Query, asked: Embeddings) -> list[Hit]:
    """The videos with the slices nearest to any of a query's.

    The best videos of all slices together are among the best of each slice.

    Args:
        collection: where to look.
        query: how many, and which.
        asked: N slices.

    Returns:
        At most ``query.top`` videos by falling cosine, those of equal cosine by name.

    Raises:
        LibraryError: the server is away, more are wanted than it gives, or the filter cannot be asked.
    """
    found = nearest_videos(collection, query, asked.vectors)
    best: dict[str, tuple[float, int, dict[str, Any]]] = {}
    for number, rows in enumerate(found):
        for row in rows:
            name, cosine = row["video_id"], row["distance"]
            if name not in best or cosine > best[name][0]:
                best[name] = cosine, number, row
    names = list(best)
    order = order_of([best[name][0] for name in names], names)
    return [hit_of(asked, names[place], *best[names[place]]) for place in order[: query.top]]


def hit_of(asked: Embeddings, name: str, cosine: float, number: int, row: dict[str, Any]) -> Hit:
    """The best slice of a video, found for one of a query's."""
    return Hit(
        video_id=name,
        cosine=cosine,
        start_s=row["start_s"],
        end_s=row["end_s"],
        query_start_s=float(asked.start_s[number]),
        query_end_s=float(asked.end_s[number]),
        slice_id=row["slice_id"],
    )


def find_many(collection: Collection, query: Query, vectors: NDArray[np.float32]) -> Matches:
    """The best videos of each of many slices.

    Args:
        collection: where to look.
        query: how many of each, and which.
        vectors: (Q, D) of the slices.

    Returns:
        Arrays of (Q, top), best first; all videos are of one segment, whose rows are their numbers.

    Raises:
        LibraryError: see :func:`find`.
    """
    found = nearest_videos(collection, query, vectors)
    numbers: dict[str, int] = {}
    shape = len(vectors), query.top
    cosines = np.full(shape, -np.inf, np.float32)
    slice_ids, videos = np.full(shape, -1, np.int64), np.full(shape, -1, np.int64)
    for number, rows in enumerate(found):
        order = order_of([row["distance"] for row in rows], [row["video_id"] for row in rows])
        for rank, row in enumerate(rows[place] for place in order):
            cosines[number, rank], slice_ids[number, rank] = row["distance"], row["slice_id"]
            videos[number, rank] = numbers.setdefault(row["video_id"], len(numbers))
    segments = np.where(videos < 0, -1, 0)
    return Matches(
        cosines=cosines,
        slice_ids=slice_ids,
        segments=segments,
        rows=videos,
        videos=videos,
        names=([*numbers],),
    )


def order_of(cosines: Sequence[float], names: Sequence[str]) -> list[int]:
    """Places of videos by falling cosine; those of cosines that are equal but for rounding by name."""
    falling = sorted(range(len(cosines)), key=lambda place: -cosines[place])
    gaps = [cosines[place] - cosines[after] > ROUNDING for place, after in pairwise(falling)]
    ranks = dict(zip(falling, accumulate(gaps, initial=0), strict=False))
    return sorted(falling, key=lambda place: (ranks[place], names[place]))


def nearest_videos(collection: Collection, query: Query, vectors: NDArray[np.float32]) -> list[Found]:
    """The best videos of each of Q slices.

    Raises:
        LibraryError: see :func:`find`.
    """
    if query.top > MOST_RESULTS:
        raise LibraryError(f"top={query.top}: a Milvus server finds {MOST_RESULTS} at most; ask for fewer")
    at_once, found = max(1, RESULTS_AT_ONCE // query.top), []
    for first in range(0, len(vectors), at_once):
        part = vectors[first : first + at_once]
        found += collection.read(lambda state, part=part: ask(collection, state, query, part))  # type: ignore[misc]
    return found


def ask(collection: Collection, state: State, query: Query, vectors: NDArray[np.float32]) -> list[Found]:
    """The best videos of some slices as of one commit.

    A server may give fewer groups than it is asked for where many near slices are of one video, so it is
    asked for more then.
    """
    expression = expression_of(state, query.exclude, query.where)
    most, limit = min(MOST_RESULTS, max(state.slices, query.top)), query.top
    enough = min(query.top, state.videos)  # of those that are excluded some may not be there
    found: list[Found] = [[] for _ in vectors]
    short = [*range(len(vectors))] if state.slices else []
    while short:
        answers = collection.connection.call(
            "search",
            collection.name,
            [vectors[number] for number in short],
            anns_field="embedding",
            filter=expression,
            limit=limit,
            output_fields=FIELDS,
            group_by_field="video_id",
        )
        for number, rows in zip(short, answers, strict=True):
            found[number] = [{**row["entity"], "distance": row["distance"]} for row in rows][: query.top]
        short = [number for number in short if len(found[number]) < enough] if limit < most else []
        limit = min(GROWTH * limit, most)
    return found
