"""Choice of an index by measurement: the fastest that is as good, as small and as quick as is wished.

Held-out queries are stored vectors drawn by seed, each without itself among its answers. Recall@10 is the
share of their 10 nearest slices by exact search over the same vectors that are found; slices as near as the
tenth count. Latency is the median time of one query alone, re-ranking included. What is drawn and built is a
function of the seed; times are not, so that of two indexes about as fast either may be chosen.
"""

import math
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import faiss
import numpy as np
from numpy.typing import NDArray

from sora_video.base.errors import ConfigError, LibraryError

from ..search.shelf import Shelf
from ..store.gpu import on_gpus
from .approximate import Builder, kinds, lists_memory, memory_of

if TYPE_CHECKING:
    from ..store.segment import Segment

__all__ = ["Candidate", "Exam", "Point", "Wish", "choose_index", "parse_bytes", "parse_ms"]

FAISS: Any = faiss  # its stubs know its C++ signatures, not those of its Python wrappers

K = 10
QUERIES = 500
TIMED = 100
"""Queries whose time is taken one by one."""
RERANK = (2, 8, 32)
"""Candidates re-ranked for each wanted slice, where the index keeps short codes."""
FEWEST_ADDED = 1024
"""Vectors of a block where lists are merged on the disk, at least."""
GAIN = 0.002
"""A parameter is doubled until recall gains less."""
UNITS = {"": 1, "k": 1e3, "m": 1e6, "g": 1e9, "t": 1e12, "ki": 2**10, "mi": 2**20, "gi": 2**30, "ti": 2**40}


@dataclass(frozen=True, kw_only=True)
class Wish:
    """What an index has to reach."""

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
    """``efSearch``, or ``nprobe``, and ``rerank``: candidates that are scored from the stored vectors for
    each wanted video."""
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

    kind: str
    """As FAISS's factory names it."""
    index: Any
    """The FAISS index; the segment's vectors for Flat."""
    memory: int
    """Bytes that search keeps in memory."""
    lists_file: Path | None = None
    """Holds the inverted lists that were merged on the disk."""
    curve: list[Point] = field(default_factory=list)
    best: Point = field(init=False)
    """The point to search with."""

    def settle(self, wish: Wish) -> None:
        """Take the fastest point that fulfils a wish, else the nearest to it."""
        fit = [point for point in self.curve if fulfils(point, wish)]
        if fit:
            self.best = min(fit, key=lambda point: point.ms)
        else:
            enough = [point for point in self.curve if point.recall >= wish.recall]
            self.best = min(
                enough, key=lambda point: point.ms, default=max(self.curve, key=lambda p: p.recall)
            )

    def __str__(self) -> str:
        parameters = "".join(f" {name}={value}" for name, value in self.best.parameters.items())
        return (
            f"{self.kind}{parameters} with recall@{K} {self.best.recall:.3f}, {self.memory / 1e6:.3g} MB and "
            f"{self.best.ms:.3g} ms a query"
        )


def fulfils(point: Point, wish: Wish) -> bool:
    """Whether a measurement is good and quick enough."""
    return point.recall >= wish.recall and (wish.latency_ms is None or point.ms <= wish.latency_ms)


class Exam:
    """Held-out queries, and what exact search answers."""

    def __init__(self, segment: "Segment", seed: int) -> None:
        self.segment = segment
        count = min(QUERIES, segment.record.rows)
        rng = np.random.default_rng([seed, 1])
        self.rows = np.sort(rng.choice(segment.record.rows, count, replace=False))
        self.queries = np.ascontiguousarray(segment.read(self.rows))
        self.k = min(K, segment.record.rows - 1)
        found = on_gpus(segment.vectors).search(self.queries, self.k + 1)[1]
        scores = self.scores(Shelf(segment), self.queries, self.rows, found)
        self.least = scores[:, self.k - 1 : self.k] - 1e-6
        """(Q, 1) score of the last slice to find."""

    def scores(
        self,
        shelf: Shelf,
        queries: NDArray[np.float32],
        rows: NDArray[np.int64],
        found: NDArray[np.int64],
    ) -> NDArray[np.float32]:
        """(Q, C) true scores of found slices, best first, the query itself last."""
        scores = shelf.cosines(queries, np.where(found == rows[:, None], -1, found))
        return -np.sort(-scores, axis=1)

    def take(self, index: Any, parameters: dict[str, int]) -> Point:
        """Measure an index."""
        shelf = Shelf(self.segment, index=index, tuned=parameters)
        fetch = min((self.k + 1) * parameters.get("rerank", 1), self.segment.record.rows)

        def answer(part: slice) -> NDArray[np.float32]:
            found = shelf.slices(self.queries[part], fetch)[1]
            return self.scores(shelf, self.queries[part], self.rows[part], found)

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


def choose_index(segment: "Segment", wish: Wish, folder: Path) -> Candidate:
    """Build every kind of index that fits into the memory, measure them, and take the best.

    Where none of them will do and an inverted file is too large for the memory, it is built block by block
    and merged on the disk; its lists are then mapped, and only its centroids count as memory.

    Args:
        segment: at least 2 vectors.
        wish: what to reach.
        folder: for the lists of an inverted file on the disk.

    Returns:
        The fastest candidate that fulfils the wish.

    Raises:
        LibraryError: none does; the message says which comes nearest.
    """
    rows, dim, stored = segment.record.rows, segment.vectors.d, segment.vectors.sa_code_size()
    sizes = {kind: memory_of(kind, rows, dim, stored) for kind in kinds(rows, dim)}
    builder, exam = Builder(segment, wish.seed), Exam(segment, wish.seed)
    measured: list[Candidate] = []
    for candidate in candidates(builder, sizes, wish, folder):
        candidate.curve = list(sweep(candidate, exam, wish))
        candidate.settle(wish)
        measured.append(candidate)
        if candidate.lists_file is not None and fulfils(candidate.best, wish):
            break
    fit = [candidate for candidate in measured if fulfils(candidate.best, wish)]
    if fit:
        return min(fit, key=lambda candidate: candidate.best.ms)
    if not measured:
        least = min(sizes, key=lambda kind: sizes[kind])
        raise LibraryError(
            f"memory={(wish.memory or 0) / 1e6:g} MB: the smallest index, {least}, takes "
            f"{sizes[least] / 1e6:.3g} MB; allow more"
        )
    nearest = max(measured, key=lambda c: (min(c.best.recall, wish.recall), -c.best.ms))
    raise LibraryError(f"no index reaches {wish}; the nearest is {nearest}; ask for less of one of them")


def candidates(builder: Builder, sizes: dict[str, int], wish: Wish, folder: Path) -> Iterator[Candidate]:
    """The indexes that fit into the memory; if none of them will do, those whose lists lie on the disk."""
    most = math.inf if wish.memory is None else wish.memory
    tried = []
    for kind in [kind for kind, size in sizes.items() if size <= most]:
        index = builder.segment.vectors if kind == "Flat" else builder.build(kind)
        tried.append(Candidate(kind=kind, index=index, memory=sizes[kind]))
        yield tried[-1]
    if any(fulfils(candidate.best, wish) for candidate in tried):
        return
    for kind in [kind for kind, size in sizes.items() if size > most and kind.startswith("IVF")]:
        held = lists_memory(builder.rows, builder.dim)
        if held <= most:
            lists_file = folder / f"{kind.rsplit(',', 1)[1]}.ivfdata"
            block = max(int(most * builder.rows / sizes[kind]), FEWEST_ADDED)
            index = builder.build_on_disk(kind, lists_file, block)
            yield Candidate(kind=kind, index=index, memory=held, lists_file=lists_file)


def sweep(candidate: Candidate, exam: Exam, wish: Wish) -> Iterator[Point]:
    """Measure an index at rising parameters, closer where it begins to be good enough."""
    if candidate.kind == "Flat":
        yield exam.take(candidate.index, {})
        return
    graph = candidate.kind.startswith("HNSW")
    name, first = ("efSearch", 16) if graph else ("nprobe", 1)
    last = exam.segment.record.rows if graph else FAISS.extract_index_ivf(candidate.index).nlist
    for rerank in (None,) if graph or candidate.kind.endswith("Flat") else RERANK:
        fixed = {} if rerank is None else {"rerank": rerank}
        value, before = first, Point({}, 0.0, 0.0, 0.0)
        points: dict[int, Point] = {}
        while True:
            points[value] = exam.take(candidate.index, {name: value, **fixed})
            gain, before = points[value].recall - before.recall, points[value]
            yield before
            done = before.recall >= wish.recall and gain < GAIN
            if value >= last or before.recall >= 0.9995 or (gain < GAIN and value > 8 * first) or done:
                break
            value = min(2 * value, last)
        good = [value for value, point in points.items() if point.recall >= wish.recall]
        high = min(good, default=first)
        low = high // 2
        while good and high - low > max(1, high // 8):
            middle = (low + high) // 2
            point = exam.take(candidate.index, {name: middle, **fixed})
            yield point
            low, high = (low, middle) if point.recall >= wish.recall else (middle, high)


def parse_bytes(text: str) -> int:
    """Bytes of a size such as ``2GB``, ``500 MB`` or ``1.5GiB``.

    Raises:
        ConfigError: it is none.
    """
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([kmgt]i?|)b?\s*", text.lower())
    if not found:
        raise ConfigError(f"memory={text}: no size; write it as 2GB or 500MB")
    return int(float(found[1]) * UNITS[found[2]])


def parse_ms(text: str) -> float:
    """Milliseconds of a time such as ``10ms`` or ``0.5s``.

    Raises:
        ConfigError: it is none.
    """
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(ms|s)\s*", text.lower())
    if not found:
        raise ConfigError(f"latency={text}: no time; write it as 10ms or 0.5s")
    return float(found[1]) * (1000 if found[2] == "s" else 1)
