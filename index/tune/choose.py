"""Choice of an index by measurement: the fastest that reaches a target of recall, memory and latency.

Held-out queries are stored vectors drawn by seed, each without itself among its answers. Recall@10 is the
share of their 10 nearest slices by exact search over the same vectors that are found; slices as near as the
tenth count. Latency is the median time of one query alone, re-ranking included. What is drawn and built is a
function of the seed; times are not, so that of two indexes about as fast either may be chosen.
"""

import math
import re
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sora_video.base.errors import ConfigError, LibraryError

from ..search.shelf import Shelf
from ..store.gpu import on_gpus
from ..store.kinds import INDEXES, RERANK, IndexKind, make_kind
from ..store.source import Source
from .on_disk import build_on_disk

if TYPE_CHECKING:
    from ..store.segment import Segment

__all__ = [
    "Candidate",
    "Exam",
    "Point",
    "Target",
    "choose_index",
    "kinds",
    "parse_bytes",
    "parse_ms",
    "sweep",
]

K = 10
QUERIES = 500
TIMED = 100
"""Queries that are timed one by one."""
FEWEST_ADDED = 1024
"""Vectors of a block where lists are merged on the disk, at least."""
GAIN = 0.002
"""A parameter is doubled until recall gains less."""
SURE = 0.9995
"""Recall that is not raised further."""
UNITS = {"": 1, "k": 1e3, "m": 1e6, "g": 1e9, "t": 1e12, "ki": 2**10, "mi": 2**20, "gi": 2**30, "ti": 2**40}


@dataclass(frozen=True, kw_only=True)
class Target:
    """What an index must reach."""

    recall: float = 0.95
    """Recall@10."""
    memory: int | None = None
    """Most bytes that search keeps in memory; None: any."""
    latency_ms: float | None = None
    """Most milliseconds of a query; None: any."""
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 < self.recall <= 1:
            raise ConfigError(f"recall={self.recall}: must be above 0 and at most 1")
        for name, value in (("memory", self.memory), ("latency", self.latency_ms)):
            if value is not None and value <= 0:
                raise ConfigError(f"{name}={value}: must be above 0")

    def __str__(self) -> str:
        parts = [f"recall@{K} {self.recall:g}"]
        parts += [f"{self.memory / 1e6:g} MB"] if self.memory else []
        parts += [f"{self.latency_ms:g} ms a query"] if self.latency_ms else []
        return ", ".join(parts)


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


@dataclass(kw_only=True)
class Candidate:
    """An index with its measured curve."""

    kind: IndexKind
    index: Any
    """The FAISS index; the segment's vectors for Flat."""
    memory: int
    """Bytes that search keeps in memory."""
    lists_file: Path | None = None
    """Holds the inverted lists that were merged on the disk."""
    curve: list[Point] = field(default_factory=list)
    best: Point = field(init=False)
    """The point to search with."""

    def settle(self, target: Target) -> None:
        """Choose the fastest point that reaches a target, else the nearest to it.

        Args:
            target: what to reach.
        """
        fit = [point for point in self.curve if reaches(point, target)]
        if fit:
            self.best = min(fit, key=lambda point: point.ms)
        else:
            enough = [point for point in self.curve if point.recall >= target.recall]
            self.best = min(
                enough, key=lambda point: point.ms, default=max(self.curve, key=lambda p: p.recall)
            )

    def __str__(self) -> str:
        parameters = "".join(f" {name}={value}" for name, value in self.best.parameters.items())
        return (
            f"{self.kind}{parameters} with recall@{K} {self.best.recall:.3f}, {self.memory / 1e6:.3g} MB and "
            f"{self.best.ms:.3g} ms a query"
        )


def reaches(point: Point, target: Target) -> bool:
    """Whether a measurement reaches a target's recall and latency."""
    return point.recall >= target.recall and (target.latency_ms is None or point.ms <= target.latency_ms)


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
        answers = on_gpus(segment.vectors).search(self.queries, self.k + 1)[1]
        scores = self.scores(Shelf(segment), self.queries, self.rows, answers)
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


def choose_index(segment: "Segment", target: Target, folder: Path) -> Candidate:
    """Build every kind of index that fits into the memory, measure them, and take the best.

    Where none of them reaches it and an inverted file is too large for the memory, it is built block by block
    and merged on the disk; its lists are then mapped, and only its centroids count as memory.

    Args:
        segment: at least 2 vectors.
        target: what to reach.
        folder: for the lists of an inverted file on the disk.

    Returns:
        The fastest candidate that reaches the target.

    Raises:
        LibraryError: none does; the message names the nearest.
    """
    source, exam = Source(segment.vectors, target.seed), Exam(segment, target.seed)
    sized = [
        (kind, kind.memory(source.rows, source.dim, source.stored)) for kind in kinds(source.rows, source.dim)
    ]
    measured: list[Candidate] = []
    for candidate in candidates(source, sized, target, folder):
        candidate.curve = list(sweep(candidate, exam, target))
        candidate.settle(target)
        measured.append(candidate)
        if candidate.lists_file is not None and reaches(candidate.best, target):
            break
    fit = [candidate for candidate in measured if reaches(candidate.best, target)]
    if fit:
        return min(fit, key=lambda candidate: candidate.best.ms)
    if not measured:
        smallest, size = min(sized, key=lambda pair: pair[1])
        raise LibraryError(
            f"memory={(target.memory or 0) / 1e6:g} MB: the smallest index, {smallest}, takes "
            f"{size / 1e6:.3g} MB; allow more"
        )
    nearest = max(measured, key=lambda c: (min(c.best.recall, target.recall), -c.best.ms))
    raise LibraryError(f"no index reaches {target}; the nearest is {nearest}; lower one of the targets")


def kinds(rows: int, dim: int) -> list[IndexKind]:
    """The indexes to choose among, with their sizes.

    Args:
        rows: vectors to search.
        dim: of the vectors.
    """
    registered: list[tuple[str, type[IndexKind]]] = [(name, INDEXES.load(name)) for name in INDEXES.names()]
    return [
        make_kind(name, **settings)
        for name, kind in registered
        if rows >= kind.fewest_rows
        for settings in kind.proposals(rows, dim)
    ]


def candidates(
    source: Source, sized: Sequence[tuple[IndexKind, int]], target: Target, folder: Path
) -> Iterator[Candidate]:
    """The indexes that fit into the memory; if none reaches the target, those whose lists lie on the disk."""
    most = math.inf if target.memory is None else target.memory
    tried = []
    for kind, size in sized:
        if size <= most:
            tried.append(Candidate(kind=kind, index=kind.build(source), memory=size))
            yield tried[-1]
    if any(reaches(candidate.best, target) for candidate in tried):
        return
    for number, (kind, size) in enumerate(sized):
        if size > most and kind.on_disk and kind.memory_of_disk(source.dim) <= most:
            lists_file = folder / f"{number}.ivfdata"
            index = build_on_disk(kind, source, lists_file, max(int(most * source.rows / size), FEWEST_ADDED))
            held = kind.memory_of_disk(source.dim)
            yield Candidate(kind=kind, index=index, memory=held, lists_file=lists_file)


def sweep(candidate: Candidate, exam: Exam, target: Target) -> Iterator[Point]:
    """Measure an index at rising search parameters, more closely where its recall starts to be enough.

    Args:
        candidate: the index.
        exam: what it is measured on.
        target: its recall is enough.
    """
    kind = candidate.kind
    if not kind.effort:
        yield exam.take(candidate.index, {}, kind)
        return
    for fixed in [{RERANK: count} for count in kind.rerank] or [{}]:

        def measure(effort: int, fixed: dict[str, int] = fixed) -> Point:
            return exam.take(candidate.index, {kind.effort: effort, **fixed}, kind)

        yield from climb(
            measure, kind.least_effort, kind.most_effort(exam.segment.record.rows), target.recall
        )


def climb(measure: Callable[[int], Point], least: int, most: int, recall: float) -> Iterator[Point]:
    """Measurements of a rising effort: doubled until it gains little, then halved towards the least enough.

    Args:
        measure: takes an effort.
        least: the first effort.
        most: the greatest effort.
        recall: that is enough.
    """
    effort, before, failed, enough = least, 0.0, least // 2, 0
    while True:
        point = measure(effort)
        yield point
        if point.recall >= recall:
            enough = enough or effort
        elif not enough:
            failed = effort
        gain, before = point.recall - before, point.recall
        flat = gain < GAIN and (point.recall >= recall or effort > 8 * least)
        if effort >= most or point.recall >= SURE or flat:
            break
        effort = min(2 * effort, most)
    while enough and enough - failed > max(1, enough // 8):
        middle = (failed + enough) // 2
        point = measure(middle)
        yield point
        failed, enough = (failed, middle) if point.recall >= recall else (middle, enough)


def parse_bytes(text: str) -> int:
    """Bytes of a size such as ``2GB``, ``500 MB`` or ``1.5GiB``.

    Args:
        text: a number and a unit.

    Raises:
        ConfigError: the text is not a size.
    """
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([kmgt]i?|)b?\s*", text.lower())
    if not match:
        raise ConfigError(f"memory={text}: is not a size; write it as 2GB or 500MB")
    return int(float(match[1]) * UNITS[match[2]])


def parse_ms(text: str) -> float:
    """Milliseconds of a time such as ``10ms`` or ``0.5s``.

    Args:
        text: a number and a unit.

    Raises:
        ConfigError: the text is not a time.
    """
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(ms|s)\s*", text.lower())
    if not match:
        raise ConfigError(f"latency={text}: is not a time; write it as 10ms or 0.5s")
    return float(match[1]) * (1000 if match[2] == "s" else 1)
