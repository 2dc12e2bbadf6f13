"""Choice of an index by measurement: the fastest that reaches a target of recall, memory and latency.

What is drawn and built is a function of the target's seed; times are not, so that of two indexes about as
fast either may be chosen.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from sora_video.base.errors import ConfigError, LibraryError

from ..store.kinds import INDEXES, RERANK, IndexKind, make_kind
from ..store.source import Source
from .exam import Exam, Point
from .on_disk import build_on_disk
from .target import K, Target, parse_index

if TYPE_CHECKING:
    from ..store.segment import Segment

__all__ = ["Candidate", "choose_index", "kinds", "sweep"]

FEWEST_ADDED = 1024
"""Vectors of a block where lists are merged on the disk, at least."""
GAIN = 0.002
"""A parameter is doubled until recall gains less."""
SURE = 0.9995
"""Recall that is not raised further."""


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
        ConfigError: the target has sizes of an index that do not fit the vectors.
        LibraryError: none does; the message names the nearest.
    """
    source, exam = Source(segment.vectors, target.seed), Exam(segment, target.seed)
    sized = [
        (kind, kind.memory(source.rows, source.dim, source.stored))
        for kind in wanted_kinds(target, source.rows, source.dim)
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


def wanted_kinds(target: Target, rows: int, dim: int) -> list[IndexKind]:
    """The indexes to choose among, or the one that a target names.

    Raises:
        ConfigError: the target names one whose sizes do not fit the vectors.
    """
    if target.index is None:
        return kinds(rows, dim)
    name, sizes = parse_index(target.index)
    try:
        wanted = [make_kind(name, **{**usual, **sizes}) for usual in INDEXES.load(name).proposals(rows, dim)]
        for kind in wanted:
            kind.check_sizes(rows, dim)
    except ValueError as error:
        reason = str(error)
        if isinstance(error, ValidationError):
            first = error.errors()[0]
            reason = f"{first['loc'][0]}: {first['msg']}"
        raise ConfigError(f"index={target.index}: {reason}; choose other sizes, or another index") from error
    return wanted


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
