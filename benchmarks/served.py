"""Milvus against the folder: ``python -m benchmarks.served``.

It starts milvus-lite's server from the environment that ``make setup-test`` makes for it, unless an address
is given: of a collection that is not there yet, on a server that runs already. The same queries of ten slices
are put to both, one after the other. milvus-lite is for tests: a search there takes seconds.
"""

import argparse
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np

from sora_video import Embeddings, Library, Query, localize, open_store, pull_library, push_library
from sora_video.index.stores import Store

from .costs import machine
from .real import write_table

PROGRAM = Path(__file__).parents[1] / ".venv-milvus/bin/milvus-lite"
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


@contextmanager
def serving(folder: Path) -> Iterator[str]:
    """An address on a server of this machine, which ends with the block."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        port = bound.getsockname()[1]
    command = [PROGRAM, "server", "--host", "127.0.0.1", "--data-dir", folder, "--port", port]
    with (
        (folder.parent / "server.log").open("wb") as log,
        subprocess.Popen([*map(str, command)], stdout=subprocess.PIPE, stderr=log, text=True) as server,
    ):
        assert server.stdout is not None
        if "listening" not in server.stdout.readline():
            raise SystemExit((folder.parent / "server.log").read_text())
        try:
            yield f"milvus://127.0.0.1:{port}/films"
        finally:
            server.kill()


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
    parser.add_argument("address", nargs="?", help="default: of a server that is started")
    parser.add_argument("--videos", type=int, default=1_000, help="of ten slices each")
    parser.add_argument("--queries", type=int, default=10)
    parser.add_argument("--index", default="FLAT")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as place, ExitStack() as servers:
        address = given.address or servers.enter_context(serving(Path(place) / "milvus"))
        library = Library.create(Path(place) / "library", "f" * 64, DIM)
        library.add(make(given.videos))
        pushed_s = seconds(lambda: push_library(library, address, given.index))
        again_s = seconds(lambda: push_library(library, address))
        pulled_s = seconds(lambda: pull_library(address, Path(place) / "pulled"))
        names = library.videos()[:: max(1, given.videos // given.queries)][: given.queries]
        queries = [Query(library.embeddings(name)) for name in names]
        folder, found = search_times(library, queries)
        served, served_found = search_times(open_store(address, print), queries)
    server = given.address or "milvus-lite, which is for tests"
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
    write_table(
        "served.md",
        "Milvus against the folder",
        f"""`make bench-scale`; machine: {machine()}; server: {server}.
        {slices:,} slices of {given.videos:,} videos, {DIM} numbers, index {given.index}; {len(queries)}
        queries of ten slices, one after the other.""",
        ["what", "measured"],
        [f"| {name} | {value:.3g} |" for name, value in rows],
    )


if __name__ == "__main__":
    main()
