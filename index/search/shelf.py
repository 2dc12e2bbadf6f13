"""The view that one search has of a segment: candidate slices of its best videos, and their cosines."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import faiss
import numpy as np
from numpy.typing import NDArray

from ..store.gpu import MOST_FETCHED, resident
from ..store.kinds import RERANK, IndexKind
from .decoded import is_coded, search_decoded

if TYPE_CHECKING:
    from ..store.segment import Segment

__all__ = ["EFFORT_BY_ASPECT", "Shelf"]

FAISS: Any = faiss  # its stubs know its C++ signatures, not those of its Python wrappers

FETCH = 4
"""Slices fetched at first for each video that is wanted, where a scan of all is made anyhow."""
FETCH_APPROXIMATE = 2
"""The same where each slice costs; an index that is re-ranked says itself."""
SCAN_ROWS = 20_000
"""So few slices that a filter lets through are compared one by one, since no index is made for them."""
EFFORT_BY_ASPECT = 8
"""Times the tuned effort of an approximate index, and the candidates that are re-ranked, for queries by one
aspect: lists, links and codes are made for whole embeddings. With it they find about as much as by all."""
SCAN_COSINES = 1 << 23
"""Cosines held at once in a scan."""
BLAS_QUERIES = 8
"""FAISS multiplies matrices from this many queries on, unless there is a selector. Its default is 20; ten
slices take twice as long with that."""
FAISS.cvar.distance_compute_blas_threshold = BLAS_QUERIES
MARGIN = 1e-5
"""More than two ways of summing one inner product of unit vectors can differ."""


class Shelf:
    """A segment as one search sees it.

    Args:
        segment: its vectors, index and slices.
        visible: (rows,) mask of the rows that may be found; None: all.
        index: FAISS index to search in place of the segment's.
        tuned: its search parameters.
        kind: of that index.
        effort: how many times the tuned effort it is asked with, and the candidates re-ranked.
    """

    def __init__(
        self,
        segment: "Segment",
        visible: NDArray[np.bool_] | None = None,
        index: Any = None,
        tuned: Mapping[str, int] | None = None,
        kind: IndexKind | None = None,
        effort: int = 1,
    ) -> None:
        self.segment, self.effort = segment, effort
        self.visible = None if visible is None or visible.all() else visible
        self.count = segment.record.rows if self.visible is None else int(np.count_nonzero(self.visible))
        """Rows that may be found."""
        self.index = segment.index if index is None else index
        self.kind = segment.kind if kind is None else kind
        self.exact = self.index is segment.vectors
        built = segment.record.index
        self.tuned = tuned if tuned is not None else built.parameters if built is not None else {}

    def slices(
        self, vectors: NDArray[np.float32], fetch: int, growth: int = 1
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """The slices nearest to queries by the index.

        Args:
            vectors: (Q, D) queries.
            fetch: slices wanted of each.
            growth: how many times the usual effort.

        Returns:
            (Q, fetch) cosines and rows, best first; row -1 where the index finds no more.
        """
        index, parameters = self.index, self._parameters(growth)
        if self.visible is None and fetch <= MOST_FETCHED and self.kind.on_gpu:
            index = resident(index)
        if parameters is None and len(vectors) >= BLAS_QUERIES and is_coded(index):
            return search_decoded(index, vectors, fetch)
        cosines, rows = index.search(vectors, fetch, params=parameters)
        return cosines, rows

    def candidates(
        self, vectors: NDArray[np.float32], top: int, growth: int
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Rows that may hold the best videos.

        Args:
            vectors: (Q, D) queries.
            top: videos wanted.
            growth: how many times the usual effort.

        Returns:
            (Q, C) rising rows, -1 where there is none, and (Q,) the cosine that no other row exceeds, as far
            as the index knows.
        """
        nothing = np.full(len(vectors), -np.inf, np.float32)
        if self._scans(len(vectors)):
            return self.scan(vectors, top), nothing
        each = FETCH if self.exact else self.tuned.get(RERANK, 0) * self.effort or FETCH_APPROXIMATE
        fetch = min(each * growth * top, self.count)
        cosines, rows = self.slices(vectors, fetch, growth)
        bounds = np.where(rows[:, -1] < 0, np.inf, cosines[:, -1]).astype(np.float32)
        if RERANK not in self.tuned:
            rows = self._needed(cosines, rows, top)
        rows.sort(axis=1)
        if self.exact:
            return rows, nothing if fetch == self.count else bounds + MARGIN
        return rows, np.where(self._distinct(rows) >= top, nothing, bounds)

    def _scans(self, queries: int) -> bool:
        """Whether comparing slice by slice is better than asking the index."""
        hidden = self.visible is not None
        if self.exact:
            return self.count == 0 or (hidden and queries >= BLAS_QUERIES)
        return self.count <= SCAN_ROWS and (hidden or self.count == 0)

    def _parameters(self, growth: int) -> Any:
        """What FAISS is asked; the fewer rows may be found, the more it has to look at."""
        selector = None
        if self.visible is not None:
            selector = FAISS.IDSelectorBitmap(np.packbits(self.visible, bitorder="little"))
        times = growth * self.effort * self.segment.record.rows / self.count
        return self.kind.asked(round(times * self.tuned.get(self.kind.effort, 0)), selector)

    def _needed(self, cosines: NDArray[np.float32], rows: NDArray[np.int64], top: int) -> NDArray[np.int64]:
        """The rows, best first, without what lies below ``top`` that are of as many videos."""
        first = np.sort(self.segment.video_of(rows[:, :top]), axis=1)
        full = (first[:, 1:] != first[:, :-1]).all(axis=1, keepdims=True)
        return np.where(full & (cosines < cosines[:, :top][:, -1:] - MARGIN), -1, rows)

    def _distinct(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """(Q,) how many videos the found rising rows belong to."""
        videos = np.where(rows < 0, -1, self.segment.video_of(rows))
        counts: NDArray[np.int64] = np.count_nonzero(np.diff(videos, axis=1, prepend=-1), axis=1)
        return counts

    def scan(self, vectors: NDArray[np.float32], top: int) -> NDArray[np.int64]:
        """Rows with the best slices of the ``top`` best videos, by comparing every visible row.

        Args:
            vectors: (Q, D) queries.
            top: videos wanted.

        Returns:
            (Q, C) rising rows, those of equal cosine among them; -1 where there is none.
        """
        best = np.full((len(vectors), top), -np.inf, np.float32)
        pairs = []
        for rows, starts in self._blocks(SCAN_COSINES // len(vectors)):
            cosines = vectors @ self.segment.read(rows).T
            video_best = np.maximum.reduceat(cosines, starts, axis=1)
            best = np.partition(np.concatenate([best, video_best], axis=1), -top, axis=1)[:, -top:]
            lengths = np.diff(starts, append=len(rows))
            wanted = np.repeat(np.maximum(video_best, best[:, :1]), lengths, axis=1) - MARGIN
            query, column = np.nonzero(cosines >= wanted)
            pairs.append((query, rows[column], cosines[query, column]))
        if not pairs:
            return np.full((len(vectors), 0), -1, np.int64)
        query, row, cosine = (np.concatenate(part) for part in zip(*pairs, strict=True))
        keep = cosine >= best[query, 0] - MARGIN
        return padded(query[keep], row[keep], len(vectors))

    def _blocks(self, most: int) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
        """Visible rows in blocks of whole videos, each with the positions at which its videos start."""
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

    def cosines(self, vectors: NDArray[np.float32], rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """Inner products of queries with stored rows.

        Args:
            vectors: (Q, D) queries.
            rows: (Q, C) rows to compare each query with; -1: none.

        Returns:
            (Q, C); -inf where the row is -1.
        """
        cosines = np.full(rows.shape, -np.inf, np.float32)
        if not rows.size:
            return cosines
        stored = self.segment.vectors
        if isinstance(stored, FAISS.IndexFlat):
            rows = np.ascontiguousarray(rows)
            pointers = (FAISS.swig_ptr(array) for array in (cosines, vectors))
            FAISS.fvec_inner_products_by_idx(
                *pointers, stored.get_xb(), FAISS.swig_ptr(rows), stored.d, *rows.shape
            )
        else:
            query, column = np.nonzero(rows >= 0)
            cosines[query, column] = np.vecdot(self.segment.read(rows[query, column]), vectors[query])
        return cosines


def padded(query: NDArray[np.int64], row: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """Pairs of query and row as a (count, C) table of rows; -1 where there is none."""
    order = np.argsort(query, kind="stable")
    query, row = query[order], row[order]
    many = np.bincount(query, minlength=count)
    column = np.arange(len(query)) - (np.cumsum(many) - many)[query]
    table = np.full((count, int(many.max(initial=0))), -1, np.int64)
    table[query, column] = row
    return table
