"""What libraries cost and find: index types, growth, and overhead over FAISS, beside autofaiss and USearch.

Vectors are drawn from clusters, see :mod:`.clusters`. Each slice of a video is drawn from a cluster of its
own, except in the crowded library, whose videos lie each in one cluster. Every row is printed and kept as it
comes: a run that was stopped goes on after its last one.
"""

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import faiss
import numpy as np
from numpy.typing import NDArray

from benchmarks.clusters import FINGERPRINT, PER_VIDEO, Clusters, Floats, embeddings
from benchmarks.peer_indexes import PEERS, Search
from sora_video.base.files import write_text
from sora_video.index.library import Library
from sora_video.index.search.nearest import nearest_videos
from sora_video.index.search.shelf import Shelf
from sora_video.index.store.kinds import RERANK, IndexKind, make_kind
from sora_video.index.store.segment import Segment
from sora_video.index.store.source import Source
from sora_video.index.tune.choose import Candidate, kinds, sweep
from sora_video.index.tune.exam import Exam, Point
from sora_video.index.tune.target import Target
from sora_video.index.tune.tune import write_index

FAISS: Any = faiss  # its stubs know its C++ signatures, not those of its Python wrappers

ADDED = 1000
SINGLE = 200
"""Queries asked one by one, at most."""
BATCH_S, SINGLE_S, FEWEST = 3.0, 5.0, 100
"""Where an index is slow, as many queries as take so many seconds, but at least so many."""
K = 10
ROUNDS = 3
WORK = Path(tempfile.gettempdir()) / "sora-bench-library"
PARTS = ("growth", "indexes", "crowded", "peers")
HEADERS = {
    "growth": "slices | build, s | bytes a slice | open, s | first search, s | add of 1,000, s | segments",
    "indexes": "index, parameters | build, s | bytes a slice | recall@10 | one query, ms p50 / p99 | "
    "batch, queries/s | FAISS alone, queries/s | time over FAISS",
    "crowded": "index, parameters | videos found of 10 | batch, queries/s | FAISS alone, slices, queries/s",
    "peers": "index | build, s | bytes a slice | recall@10 | one query, ms p50 / p99 | batch, queries/s",
}


class Bench:
    """The libraries of one run, kept in a folder so that a stopped run goes on."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options, self.folder = options, options.work
        self.clusters = Clusters(options.dim, options.clusters, options.queries)
        self.folder.mkdir(parents=True, exist_ok=True)

    @property
    def sizes(self) -> list[int]:
        """Slices at which growth is measured."""
        most = self.options.growth
        return sorted({size for size in (10_000, 100_000, 1_000_000, most) if size <= most})

    def library(self, name: str) -> Library:
        """An empty library in place of what was there."""
        shutil.rmtree(self.folder / name, ignore_errors=True)
        return Library.create(self.folder / name, FINGERPRINT, self.options.dim)

    @cached_property
    def segment(self) -> Segment:
        """All slices in one segment."""
        path = self.folder / f"library.{self.options.count}"
        if not path.exists():
            library = self.library("partial")
            self.clusters.fill(library, 0, self.options.count)
            library.compact()
            (self.folder / "partial").rename(path)
        (segment,) = Library.open(path)._snapshot.searchable
        return segment

    @cached_property
    def exact(self) -> Floats:
        """(Q, 1) score of the tenth nearest slice of each query."""
        scores = self.segment.vectors.search(self.clusters.queries, K)[0]
        return np.asarray(scores[:, -1:] - 1e-5, np.float32)

    def recall(self, rows: NDArray[np.int64]) -> float:
        """Recall@10 of the (Q, 10) rows that were found for the first Q queries."""
        found = Shelf(self.segment).cosines(self.clusters.queries[: len(rows)], rows)
        return float((found >= self.exact[: len(rows)]).mean())

    def times(self, search: Callable[[Floats], Any], most: int = SINGLE) -> str:
        """Milliseconds of single queries, of ``FEWEST`` at least."""
        taken = []
        for number in range(min(max(FEWEST, most), SINGLE, len(self.clusters.queries))):
            began = time.perf_counter()
            search(self.clusters.queries[number : number + 1])
            taken.append(1e3 * (time.perf_counter() - began))
        return f"{np.percentile(taken, 50):.2f} / {np.percentile(taken, 99):.2f}"

    def growth(self) -> Iterator[tuple[str, Callable[[], list[Any]]]]:
        """Rows on libraries of rising size."""
        for size in self.sizes:
            yield f"{size:,}", partial(self.grown, size)

    def grown(self, size: int) -> list[Any]:
        """What a library of a size costs, in segments as they were added; opened by a fresh process."""
        library = self.library("growth")
        seconds, _ = timed(lambda: self.clusters.fill(library, 0, size))
        info = library.info()
        opened = [fresh(library.path) for _ in range(ROUNDS)][1:]  # the first one verifies
        extra = embeddings(self.clusters.draw(np.random.default_rng(3), ADDED), 10**7)
        added, _ = timed(lambda: library.add(extra))
        shutil.rmtree(library.path)
        open_s, search_s, _ = (min(column) for column in zip(*opened, strict=True))
        return [f"{seconds:.1f}", f"{info.bytes_per_slice:.0f}", f"{open_s:.3f}", f"{search_s:.3f}",
                f"{added:.2f}", info.segments]  # fmt: skip

    def indexes(self) -> Iterator[tuple[str, Callable[[], list[Any]]]]:
        """Rows on every kind of index, on one segment; a kind that is done is not built again."""
        for kind in kinds(self.options.count, self.options.dim):
            done = self.folder / f"{kind}.{self.options.count}.done"
            if not done.exists():
                yield from self.measure(kind)
                done.touch()

    def measure(self, kind: IndexKind) -> Iterator[tuple[str, Callable[[], list[Any]]]]:
        """Build one kind, and a row for each of rising parameters."""
        segment = self.segment
        source = Source(segment.vectors, 0)
        size = kind.memory(source.rows, source.dim, source.stored)
        seconds, index = timed(lambda: kind.build(source))
        if index is not segment.vectors:
            sizes: list[int] = []
            write_index(index, lambda data: sizes.append(len(data)))
            size = sum(sizes)
        candidate = Candidate(kind=kind, index=index, memory=size)
        for point in sweep(candidate, Exam(segment, 0), Target()):
            name = " ".join([str(kind), *(f"{key}={value}" for key, value in point.parameters.items())])
            known = [f"{seconds:.0f}", f"{size / segment.record.rows:.0f}"]
            shelf = Shelf(segment, index=index, tuned=point.parameters, kind=kind)
            yield name, partial(self.compare, known, shelf, point)

    def compare(self, known: list[str], shelf: Shelf, point: Point) -> list[Any]:
        """One index with its parameters, as the library searches it and as FAISS does alone."""
        queries = self.clusters.queries[: max(FEWEST, int(BATCH_S * point.queries_per_second))]
        raw = self.raw(shelf, point.parameters)
        ours, alone = in_turns(lambda: nearest_videos([shelf], queries, K), lambda: raw(queries))
        rows = np.asarray(raw(queries)[1])
        return [
            *known,
            f"{self.recall(rows):.3f}",
            self.times(lambda query: nearest_videos([shelf], query, K), int(1e3 * SINGLE_S / point.ms)),
            f"{len(queries) / ours:.0f}",
            f"{len(queries) / alone:.0f}",
            f"{ours / alone:.2f}",
        ]

    def raw(self, shelf: Shelf, parameters: dict[str, int]) -> Callable[[Floats], Any]:
        """FAISS's own search of the same index for 10 slices, with FAISS's own re-ranking."""
        if not parameters:
            return lambda queries: shelf.index.search(queries, K)
        asked = shelf.kind.asked(parameters[shelf.kind.effort], None)
        if RERANK not in parameters:
            return lambda queries: shelf.index.search(queries, K, params=asked)
        refined = FAISS.IndexRefine(shelf.index, shelf.segment.vectors)
        both = FAISS.IndexRefineSearchParameters(k_factor=parameters[RERANK], base_index_params=asked)
        return lambda queries: refined.search(queries, K, params=both)

    def crowded(self) -> Iterator[tuple[str, Callable[[], list[Any]]]]:
        """Rows on videos whose slices are all alike, so that ten videos take many more than ten slices."""
        count = min(self.options.count, 100_000)
        library = self.library("crowded")
        self.clusters.fill(library, 0, count, runs=PER_VIDEO)
        library.compact()
        (segment,) = library._snapshot.searchable
        for kind, parameters in ((make_kind(), {}), (make_kind("HNSW", links=32), {"efSearch": 64})):
            index = kind.build(Source(segment.vectors, 0))
            shelf = Shelf(segment, index=index, tuned=parameters, kind=kind)
            name = " ".join([f"{count:,} slices, {kind}", *(f"{k}={v}" for k, v in parameters.items())])
            yield name, partial(self.crowd, shelf, parameters)

    def crowd(self, shelf: Shelf, parameters: dict[str, int]) -> list[Any]:
        """One index, by videos and by slices."""
        queries, raw = self.clusters.queries, self.raw(shelf, parameters)
        ours, alone = in_turns(lambda: nearest_videos([shelf], queries, K), lambda: raw(queries))
        found = np.count_nonzero(nearest_videos([shelf], queries, K).rows >= 0, axis=1).mean()
        return [f"{found:.2f}", f"{len(queries) / ours:.0f}", f"{len(queries) / alone:.0f}"]

    def peers(self) -> Iterator[tuple[str, Callable[[], list[Any]]]]:
        """Rows on other packages that are installed, over the same vectors."""
        for name, build in PEERS.items():
            yield name, partial(self.peer, build)

    def peer(self, build: Callable[[Floats], tuple[int, Search]]) -> list[Any]:
        """One peer."""
        vectors = self.segment.read(np.arange(self.segment.record.rows))
        seconds, (size, search) = timed(lambda: build(vectors))
        rows = search(self.clusters.queries, K)
        (batch,) = in_turns(lambda: search(self.clusters.queries, K))
        return [
            f"{seconds:.0f}",
            f"{size / len(vectors):.0f}",
            f"{self.recall(np.ascontiguousarray(rows, np.int64)):.3f}",
            self.times(lambda query: search(query, K)),
            f"{len(self.clusters.queries) / batch:.0f}",
        ]


OPEN = """
import sys, time
import numpy as np
from sora_video.index.library import Library
from sora_video.index.query import Query, without_times
began = time.perf_counter()
library = Library.open(sys.argv[1])
opened = time.perf_counter()
vector = np.eye(1, library.dim, dtype=np.float32)
library.search_many(Query(without_times(vector, library.fingerprint)))
first = time.perf_counter() - opened
(own,) = [line.split()[1] for line in open("/proc/self/status") if line.startswith("RssAnon")]
print(opened - began, first, int(own) / 1024)
"""


def fresh(path: Path) -> list[float]:
    """Seconds that a fresh process takes to open a library, and for its first search, and its memory in MB.

    Files that are mapped are not counted (Linux).
    """
    command = [sys.executable, "-c", OPEN, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return [float(word) for word in done.stdout.split()]


def timed(do: Callable[[], Any]) -> tuple[float, Any]:
    """Seconds that something takes, and what it returns."""
    began = time.perf_counter()
    result = do()
    return time.perf_counter() - began, result


def in_turns(*ways: Callable[[], Any]) -> list[float]:
    """The best time of each way, measured in turns."""
    rounds = [[timed(way)[0] for way in ways] for _ in range(ROUNDS)]
    return [min(column) for column in zip(*rounds, strict=True)]


def say(name: str, row: list[Any]) -> None:
    """Print one row as it comes."""
    print(" | ".join(["", name, *map(str, row), ""]).strip(), flush=True)


def main() -> None:
    """Measure, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=1_000_000, help="slices that are indexed")
    parser.add_argument("--growth", type=int, default=5_000_000, help="slices of the largest library")
    parser.add_argument("--dim", type=int, default=512)
    parser.add_argument("--clusters", type=int, default=20_000)
    parser.add_argument("--queries", type=int, default=1000)
    parser.add_argument("--only", choices=PARTS, action="append", help="measure these parts alone")
    parser.add_argument("--work", type=Path, default=WORK, help="kept between runs")
    parser.add_argument("--again", action="store_true", help="forget what was measured before")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/library.md"))
    options = parser.parse_args()
    if options.again:
        shutil.rmtree(options.work, ignore_errors=True)
    bench = Bench(options)
    kept = options.work / f"rows.{options.count}.{options.dim}.{options.clusters}.json"
    rows: dict[str, dict[str, list[Any]]] = json.loads(kept.read_text()) if kept.exists() else {}
    for part in options.only or PARTS:
        done = rows.setdefault(part, {})
        for name, measure in getattr(bench, part)():
            if name not in done:
                done[name] = measure()
                write_text(kept, json.dumps(rows, indent=1))
                say(name, done[name])
        write_text(options.out, report(options, rows))


def report(options: argparse.Namespace, rows: dict[str, dict[str, list[Any]]]) -> str:
    """All rows so far, as Markdown."""
    lines = [
        "# Libraries: what they cost and find",
        "",
        f"`make bench-library`: {options.count:,} slices x {options.dim} dimensions from "
        f"{options.clusters:,} clusters, {options.queries:,} queries, or as many as take {BATCH_S:g} s; "
        f"FAISS {faiss.__version__}, {os.cpu_count()} cores, {platform.machine()}.",
    ]
    for part in PARTS:
        if rows.get(part):
            header = HEADERS[part].split(" | ")
            lines += [
                "",
                f"## {part.capitalize()}",
                "",
                f"| {' | '.join(header)} |",
                "|---" * len(header) + "|",
            ]
            lines += [f"| {' | '.join([name, *map(str, row)])} |" for name, row in rows[part].items()]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
