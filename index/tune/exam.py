"""How good and how quick an index is.

Held-out queries are stored vectors drawn by seed, each without itself among its answers. Recall@10 is the
share of their 10 nearest slices by exact search over the same vectors that are found; slices as near as the
tenth count. Latency is the median time of one query alone, re-ranking included.
"""

import time
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..search.shelf import Shelf
from ..store.kinds import RERANK, IndexKind, make_kind
from .target import K

if TYPE_CHECKING:
    from ..store.segment import Segment

__all__ = ["Exam", "Point"]

QUERIES = 500
TIMED = 100
"""Queries that are timed one by one."""


class Point(NamedTuple):
    """One measurement of an index."""

    parameters: dict[str, int]
    """Of the search: the kind's ``effort``, and ``rerank`` where candidates are re-ranked."""
    recall: float
    """Recall@10."""
    ms: float
    """Median of one query alone, milliseconds."""
    queries_per_second: float
    """Of all queries at once."""

    def as_json(self) -> dict[str, float]:
        """As the manifest keeps it."""
        return {
            **self.parameters,
            "recall": round(self.recall, 4),
            "ms": round(self.ms, 4),
            "queries_per_second": round(self.queries_per_second, 1),
        }


class Exam:
    """Held-out queries, and their answers by exact search.

    Args:
        segment: its vectors are queries and answers.
        seed: decides which vectors are queries.
    """

    def __init__(self, segment: "Segment", seed: int) -> None:
        self.segment = segment
        count = min(QUERIES, segment.record.rows)
        rng = np.random.default_rng([seed, 1])
        self.rows = np.sort(rng.choice(segment.record.rows, count, replace=False))
        self.queries = np.ascontiguousarray(segment.read(self.rows))
        self.k = min(K, segment.record.rows - 1)
        exact = Shelf(segment, index=segment.vectors, kind=make_kind())
        answers = exact.slices(self.queries, self.k + 1)[1]
        scores = self.scores(exact, self.queries, self.rows, answers)
        self.least = scores[:, self.k - 1 : self.k] - 1e-6
        """(Q, 1) score of the last slice to find."""

    def scores(
        self,
        shelf: Shelf,
        queries: NDArray[np.float32],
        rows: NDArray[np.int64],
        answers: NDArray[np.int64],
    ) -> NDArray[np.float32]:
        """True cosines of the slices that a search returned.

        Args:
            shelf: reads the stored vectors.
            queries: (Q, D) some of the queries.
            rows: (Q,) the queries' own rows, which are no answers.
            answers: (Q, C) rows that a search returned; -1: none.

        Returns:
            (Q, C) falling, the query itself last.
        """
        scores = shelf.cosines(queries, np.where(answers == rows[:, None], -1, answers))
        return -np.sort(-scores, axis=1)

    def take(self, index: Any, parameters: dict[str, int], kind: IndexKind | None = None) -> Point:
        """Measure an index.

        Args:
            index: a FAISS index over the segment's rows.
            parameters: of its search.
            kind: of the index; None: that of the segment's own.
        """
        shelf = Shelf(self.segment, index=index, tuned=parameters, kind=kind)
        fetch = min((self.k + 1) * parameters.get(RERANK, 1), self.segment.record.rows)

        def answer(part: slice) -> NDArray[np.float32]:
            answers = shelf.slices(self.queries[part], fetch)[1]
            return self.scores(shelf, self.queries[part], self.rows[part], answers)

        began = time.perf_counter()
        scores = answer(slice(None))
        batch = time.perf_counter() - began
        times = []
        for number in range(min(TIMED, len(self.rows))):
            began = time.perf_counter()
            answer(slice(number, number + 1))
            times.append(time.perf_counter() - began)
        return Point(
            parameters,
            float((scores[:, : self.k] >= self.least).mean()),
            1e3 * float(np.median(times)),
            len(self.rows) / batch,
        )
