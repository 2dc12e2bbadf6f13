"""The nearest videos of many queries at once: FAISS finds candidates, their stored vectors score them.

The k nearest slices of a query may all belong to one video, so more are fetched than are wanted. A query is
settled when nothing that was not fetched can change its k best videos. Those that are not are asked once
more, with GROWTH times the effort; what is left then, and what a filter makes few, is scored slice by slice.

Scores are inner products with the stored vectors, each summed on its own: equal slices score equally whatever
index found them, and videos of equal score come by name.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import faiss
import numpy as np
from numpy.typing import NDArray

from .gpu import MOST_FETCHED, resident

if TYPE_CHECKING:
    from .segment import Segment

__all__ = ["Nearest", "Shelf", "nearest_videos", "rank", "search_parameters"]

FAISS: Any = faiss  # its stubs know its C++ signatures, not those of its Python wrappers

QUERY_BLOCK = 1024
"""Queries searched at once, to bound memory."""
FETCH = 4
"""Slices fetched at first for each video that is wanted, where a scan of all is made anyhow."""
FETCH_APPROXIMATE = 2
"""The same where each slice costs; an index that is re-ranked says itself."""
GROWTH = 8
SCAN_ROWS = 20_000
"""So few slices that a filter lets through are scored one by one, since no index is made for them."""
SCAN_SCORES = 1 << 23
"""Scores held at once in a scan."""
BLAS_QUERIES = 20
"""FAISS multiplies matrices from this many queries on, unless there is a selector."""
MARGIN = 1e-5
"""More than two ways of summing one inner product of unit vectors can differ."""


class Nearest(NamedTuple):
    """The best videos of each query, best first, each with its best slice."""

    scores: NDArray[np.float32]
    """(Q, top) inner products; -inf past the last video."""
    segments: NDArray[np.int64]
    """(Q, top) which of the segments; -1 past the last video."""
    rows: NDArray[np.int64]
    """(Q, top) the slice's row there; -1 past the last video."""
    videos: NDArray[np.int64]
    """(Q, top) the video's number there; -1 past the last video."""


class Shelf:
    """A segment as one search sees it.

    Args:
        segment: its vectors, index and slices.
        visible: (rows,) which may be found; None: all.
        index: to search in place of the segment's own.
        tuned: its search parameters.
    """

    def __init__(
        self,
        segment: "Segment",
        visible: NDArray[np.bool_] | None = None,
        index: Any = None,
        tuned: Mapping[str, int] | None = None,
    ) -> None:
        self.segment = segment
        self.visible = None if visible is None or visible.all() else visible
        self.count = segment.record.rows if self.visible is None else int(np.count_nonzero(self.visible))
        """Rows that may be found."""
        self.index = segment.index if index is None else index
        self.exact = self.index is segment.vectors
        built = segment.record.index
        self.tuned = tuned if tuned is not None else built.parameters if built is not None else {}

    def slices(
        self, vectors: NDArray[np.float32], fetch: int, growth: int = 1
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """(Q, fetch) scores and rows of the nearest slices as the index sees them; -1 where it finds none."""
        index, parameters = self.index, self._parameters(growth)
        if self.visible is None and fetch <= MOST_FETCHED:
            index = resident(index)
        scores, rows = index.search(vectors, fetch, params=parameters)
        return scores, rows

    def candidates(
        self, vectors: NDArray[np.float32], top: int, growth: int
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Rows that may hold the best videos.

        Args:
            vectors: (Q, D) queries.
            top: videos wanted.
            growth: how many times the usual effort.

        Returns:
            (Q, C) rising rows, -1 where there is none, and (Q,) the score that no other row exceeds, as far
            as the index knows.
        """
        nothing = np.full(len(vectors), -np.inf, np.float32)
        if self._scans(len(vectors)):
            return self.scan(vectors, top), nothing
        each = FETCH if self.exact else self.tuned.get("rerank", FETCH_APPROXIMATE)
        fetch = min(each * growth * top, self.count)
        scores, rows = self.slices(vectors, fetch, growth)
        bounds = np.where(rows[:, -1] < 0, np.inf, scores[:, -1]).astype(np.float32)
        rows.sort(axis=1)
        if self.exact:
            return rows, nothing if fetch == self.count else bounds + MARGIN
        return rows, np.where(self._distinct(rows) >= top, nothing, bounds)

    def _scans(self, queries: int) -> bool:
        """Whether scoring slice by slice is better than asking the index."""
        hidden = self.visible is not None
        if self.exact:
            return self.count == 0 or (hidden and queries >= BLAS_QUERIES)
        return self.count <= SCAN_ROWS and (hidden or self.count == 0)

    def _parameters(self, growth: int) -> Any:
        """What FAISS is asked; the fewer rows may be found, the more it has to look at."""
        selector = None
        if self.visible is not None:
            selector = FAISS.IDSelectorBitmap(np.packbits(self.visible, bitorder="little"))
        if self.exact:
            return None if selector is None else FAISS.SearchParameters(sel=selector)
        effort = growth * self.segment.record.rows / self.count
        return search_parameters(self.index, self.tuned, effort, selector)

    def _distinct(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """(Q,) how many videos the found rising rows belong to."""
        videos = np.where(rows < 0, -1, self.segment.video_of(rows))
        counts: NDArray[np.int64] = np.count_nonzero(np.diff(videos, axis=1, prepend=-1), axis=1)
        return counts

    def scan(self, vectors: NDArray[np.float32], top: int) -> NDArray[np.int64]:
        """Rows with the best slices of the ``top`` best videos, by scoring every visible row.

        Args:
            vectors: (Q, D) queries.
            top: videos wanted.

        Returns:
            (Q, C) rising rows, those of equal score among them; -1 where there is none.
        """
        best = np.full((len(vectors), top), -np.inf, np.float32)
        found = []
        for rows, starts in self._blocks(SCAN_SCORES // len(vectors)):
            scores = vectors @ self.segment.read(rows).T
            own = np.maximum.reduceat(scores, starts, axis=1)
            best = np.partition(np.concatenate([best, own], axis=1), -top, axis=1)[:, -top:]
            lengths = np.diff(starts, append=len(rows))
            wanted = np.repeat(np.maximum(own, best[:, :1]), lengths, axis=1) - MARGIN
            query, place = np.nonzero(scores >= wanted)
            found.append((query, rows[place], scores[query, place]))
        if not found:
            return np.full((len(vectors), 0), -1, np.int64)
        query, row, score = (np.concatenate(part) for part in zip(*found, strict=True))
        keep = score >= best[query, 0] - MARGIN
        return padded(query[keep], row[keep], len(vectors))

    def _blocks(self, most: int) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
        """Visible rows in blocks of whole videos, each with the places where its videos begin."""
        count = self.segment.record.rows
        rows = np.arange(count) if self.visible is None else np.flatnonzero(self.visible)
        if not len(rows):
            return
        videos = self.segment.video_of(rows)
        starts = np.concatenate([[0], 1 + np.flatnonzero(videos[1:] != videos[:-1])])
        edges = np.unique(np.searchsorted(starts, np.arange(0, len(rows), max(most, 1))))
        for part in np.split(starts, edges[edges > 0]):
            if len(part):
                after = np.searchsorted(starts, part[-1], side="right")
                end = starts[after] if after < len(starts) else len(rows)
                yield rows[part[0] : end], part - part[0]

    def score(self, vectors: NDArray[np.float32], rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """(Q, C) inner products of (Q, D) queries with their own stored rows; -inf where the row is -1."""
        scores = np.full(rows.shape, -np.inf, np.float32)
        if not rows.size:
            return scores
        stored = self.segment.vectors
        if isinstance(stored, FAISS.IndexFlat):
            there, rows = rows >= 0, np.ascontiguousarray(np.maximum(rows, 0))
            pointers = (FAISS.swig_ptr(array) for array in (scores, vectors))
            FAISS.fvec_inner_products_by_idx(
                *pointers, stored.get_xb(), FAISS.swig_ptr(rows), stored.d, *rows.shape
            )
            scores[~there] = -np.inf
        else:
            query, place = np.nonzero(rows >= 0)
            scores[query, place] = np.vecdot(self.segment.read(rows[query, place]), vectors[query])
        return scores


def search_parameters(index: Any, tuned: Mapping[str, int], effort: float = 1, selector: Any = None) -> Any:
    """FAISS's search parameters for an approximate index.

    Args:
        index: HNSW, or IVF with or without a transform before it.
        tuned: ``efSearch``, or ``nprobe``.
        effort: to multiply it with.
        selector: rows that may be found, a FAISS IDSelector; None: all.
    """
    if "efSearch" in tuned:
        return FAISS.SearchParametersHNSW(efSearch=round(effort * tuned["efSearch"]), sel=selector)
    ivf = FAISS.extract_index_ivf(index)
    nprobe = min(round(effort * tuned["nprobe"]), ivf.nlist)
    parameters = FAISS.SearchParametersIVF(nprobe=nprobe, sel=selector)
    if isinstance(index, FAISS.IndexPreTransform):
        return FAISS.SearchParametersPreTransform(index_params=parameters)
    return parameters


def padded(query: NDArray[np.int64], row: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """Pairs of query and row as a (count, C) table of rows; -1 where there is none."""
    order = np.argsort(query, kind="stable")
    query, row = query[order], row[order]
    many = np.bincount(query, minlength=count)
    place = np.arange(len(query)) - (np.cumsum(many) - many)[query]
    table = np.full((count, int(many.max(initial=0))), -1, np.int64)
    table[query, place] = row
    return table


def nearest_videos(shelves: Sequence[Shelf], vectors: NDArray[np.float32], top: int) -> Nearest:
    """The ``top`` best videos of each query.

    Args:
        shelves: where to look. A video is visible in one at most.
        vectors: (Q, D) L2-normalised queries.
        top: videos wanted, at least 1.

    Returns:
        Best first; videos of equal score by name. Exact where the indexes are.
    """
    vectors = np.ascontiguousarray(vectors, np.float32)
    nearest = no_answers(len(vectors), top)
    for first in range(0, len(vectors) if shelves else 0, QUERY_BLOCK):
        pending = np.arange(first, min(first + QUERY_BLOCK, len(vectors)))
        for growth in (1, GROWTH, None):
            found, settled = ask(shelves, vectors[pending], top, growth)
            wholes: tuple[NDArray[Any], ...] = nearest
            for whole, part in zip(wholes, found, strict=True):
                whole[pending] = part
            pending = pending[~settled]
            if not len(pending):
                break
    return nearest


def ask(
    shelves: Sequence[Shelf], vectors: NDArray[np.float32], top: int, growth: int | None
) -> tuple[Nearest, NDArray[np.bool_]]:
    """One round over all segments, and which queries it settled; ``growth=None`` scores every slice."""
    bounds = np.full(len(vectors), -np.inf, np.float32)
    rows, scores = [], []
    for shelf in shelves:
        if growth is None:
            own = shelf.scan(vectors, top)
        else:
            own, bound = shelf.candidates(vectors, top, growth)
            bounds = np.maximum(bounds, bound)
        rows.append(own)
        scores.append(shelf.score(vectors, own))
    nearest = best_of(shelves, rows, scores, top)
    return nearest, (nearest.scores[:, -1] > bounds) | (bounds == -np.inf)


def best_of(
    shelves: Sequence[Shelf], rows: list[NDArray[np.int64]], scores: list[NDArray[np.float32]], top: int
) -> Nearest:
    """Group the candidates of all segments by video."""
    place = np.repeat(np.arange(len(shelves)), [part.shape[1] for part in rows])
    row, score = np.concatenate(rows, axis=1), np.concatenate(scores, axis=1)
    query, column = np.nonzero(row >= 0)
    segment, row, score = place[column], row[query, column], score[query, column]
    video = np.empty_like(row)
    for number, shelf in enumerate(shelves):
        own = slice(None) if len(shelves) == 1 else segment == number
        video[own] = shelf.segment.video_of(row[own])
    first = np.cumsum([0] + [len(shelf.segment.videos) for shelf in shelves])

    def name(number: int) -> str:
        place = int(np.searchsorted(first, number, side="right")) - 1
        return shelves[place].segment.videos[number - int(first[place])]

    best = rank(len(scores[0]), query, first[segment] + video, score, name, top)
    there, nearest = best >= 0, no_answers(len(best), top)
    wholes: tuple[NDArray[Any], ...] = nearest
    parts: tuple[NDArray[Any], ...] = (score, segment, row, video)
    for whole, part in zip(wholes, parts, strict=True):
        whole[there] = part[best[there]]
    return nearest


def no_answers(queries: int, top: int) -> Nearest:
    """What is known of queries before anything was found."""
    numbers = (np.full((queries, top), -1, np.int64) for _ in range(3))
    return Nearest(np.full((queries, top), -np.inf, np.float32), *numbers)


def rank(
    groups: int,
    group: NDArray[np.int64],
    video: NDArray[np.int64],
    score: NDArray[np.float32],
    name: Callable[[int], str],
    top: int,
) -> NDArray[np.int64]:
    """The best entry of each video, and the best videos of each group.

    Args:
        groups: how many there are.
        group: (P,) group of each entry, from 0, rising.
        video: (P,) number of its video, rising within a group.
        score: (P,) the higher the better; of a video's equal ones the first is taken.
        name: of a video, by which videos of equal score are ordered.
        top: videos wanted of each group.

    Returns:
        (groups, top) entries, best first; -1 past the last video.
    """
    table = np.full((groups, top), -1, np.int64)
    if not len(score):
        return table
    starts = np.flatnonzero((np.diff(group, prepend=-1) != 0) | (np.diff(video, prepend=-1) != 0))
    lengths = np.diff(starts, append=len(group))
    highest = np.flatnonzero(score == np.repeat(np.maximum.reduceat(score, starts), lengths))
    run = np.repeat(np.arange(len(starts)), lengths)[highest]
    best = highest[np.diff(run, prepend=-1) != 0]
    best = best[np.lexsort((-score[best], group[best]))]
    equal = (np.diff(group[best]) == 0) & (np.diff(score[best]) == 0)
    if equal.any():
        tied = np.append(equal, False) | np.insert(equal, 0, False)
        names = np.zeros(len(best), np.int64)
        names[tied] = np.unique([name(int(number)) for number in video[best[tied]]], return_inverse=True)[1]
        best = best[np.lexsort((names, -score[best], group[best]))]
    many = np.bincount(group[best], minlength=groups)
    place = np.arange(len(best)) - (np.cumsum(many) - many)[group[best]]
    kept = place < top
    table[group[best[kept]], place[kept]] = best[kept]
    return table
