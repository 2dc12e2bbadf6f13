"""Milvus against the folder: ``python -m benchmarks.served ADDRESS --videos 10000``.

The address is of a collection that is not there yet, on a server that runs already. The same queries of ten
slices are put to both, one after the other.
"""

import argparse
import platform
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from sora_video import Embeddings, Library, Query, localize, open_store, pull_library, push_library
from sora_video.base.files import write_text
from sora_video.index.stores import Store

RESULTS = Path(__file__).parent / "results" / "served.md"
SLICES, DIM, ALONG = 10, 512, 64


def make(videos: int, seed: int = 0) -> Embeddings:
    """The embeddings of videos that vary along some directions."""
    rng = np.random.default_rng(seed)
    axes = rng.normal(size=(ALONG, DIM)).astype(np.float32)
    scenes = rng.normal(size=(videos, 1, ALONG)) + 0.5 * rng.normal(size=(videos, SLICES, ALONG))
    vectors = (3 + scenes.astype(np.float32) @ axes).reshape(-1, DIM)
    numbers = np.tile(np.arange(SLICES), videos)
    return Embeddings(
        video_id=np.repeat(np.array([f"{number:08d}.mp4" for number in range(videos)], object), SLICES),
        slice_no=numbers.astype(np.int32),
        start_s=numbers.astype(np.float64),
        end_s=(numbers + 1).astype(np.float64),
        vectors=vectors / np.linalg.norm(vectors, axis=1, keepdims=True),
        fingerprint="f" * 64,
    )


def seconds(work: Callable[[], object]) -> float:
    """How long something takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def search_times(library: Store, queries: list[Query]) -> tuple[list[float], list[list[str]]]:
    """Milliseconds of each search, and the videos that it found; the first one is not counted."""
    localize(library, queries[0])
    times, found = [], []
    for query in queries:
        began = time.perf_counter()
        hits = localize(library, query)
        times.append(1000 * (time.perf_counter() - began))
        found.append([hit.video_id for hit in hits])
    return times, found


def main() -> None:
    """Measure and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("address")
    parser.add_argument("--videos", type=int, default=10_000)
    parser.add_argument("--queries", type=int, default=50)
    parser.add_argument("--index", default="FLAT")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        library = Library.create(Path(place) / "library", "f" * 64, DIM)
        library.add(make(given.videos))
        pushed_s = seconds(lambda: push_library(library, given.address, given.index))
        again_s = seconds(lambda: push_library(library, given.address))
        pulled_s = seconds(lambda: pull_library(given.address, Path(place) / "pulled"))
        names = [library.videos()[number * given.videos // given.queries] for number in range(given.queries)]
        queries = [Query(library.embeddings(name)) for name in names]
        folder, found = search_times(library, queries)
        served, served_found = search_times(open_store(given.address, print), queries)
    slices, same = (
        given.videos * SLICES,
        np.mean([here == there for here, there in zip(found, served_found, strict=True)]),
    )
    rows = [
        ("push, slices/s", slices / pushed_s),
        ("push of what is there already, s", again_s),
        ("pull, slices/s", slices / pulled_s),
        ("search of ten slices in the folder, median ms", float(np.median(folder))),
        ("search of ten slices in Milvus, median ms", float(np.median(served))),
        ("searches a second in the folder", 1000 / float(np.mean(folder))),
        ("searches a second in Milvus", 1000 / float(np.mean(served))),
        ("searches with the same ten videos in the same order", float(same)),
    ]
    lines = [
        "# Milvus against the folder",
        "",
        f"{slices:,} slices of {given.videos:,} videos, {DIM} dimensions, index {given.index}, "
        f"{given.queries} queries, one after the other; {platform.processor() or platform.machine()}. "
        "`python -m benchmarks.served` measures it.",
        "",
        "| | |",
        "|---|---|",
        *(f"| {name} | {value:.3g} |" for name, value in rows),
    ]
    write_text(RESULTS, "\n".join(lines) + "\n")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
