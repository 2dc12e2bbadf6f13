"""What a server answers in, and how much: by query, clients and size of the library; its page; a soak.

The server is a process of its own on the same machine as its clients, see :mod:`.serve_load`. Vectors are
drawn from clusters, see :mod:`.clusters`; spans and files are of real clips.
"""

import argparse
import http.client
import json
import random
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.clusters import FINGERPRINT, PER_VIDEO, Clusters, embeddings
from benchmarks.costs import machine
from benchmarks.real import DATA
from benchmarks.serve_load import HEAD, Ask, Server, ask_for, load
from benchmarks.serve_page import clips_library, measure_page
from benchmarks.soak import holding
from sora_video.base.files import write_text
from sora_video.index.library import Library
from sora_video.index.tune.target import Target
from sora_video.serve.multipart import Multipart

RESULTS = Path(__file__).with_name("results") / "serve.md"
WORK = Path(tempfile.gettempdir()) / "sora-bench-serve"
DIM, CENTRES, QUERIES = 512, 5000, 200
SEARCH = "/api/v1/search"
TUNED_FROM = 100_000
"""Slices from which a library is measured with an approximate index too."""
INDEX_BYTES = 150
"""Of a slice, most that the index keeps in memory; one kind alone takes so little, which is soon built."""
FEW = 10
"""Most clients of queries that are decoded; a server lets 20 wait, and refuses more."""
BLOCK_BYTES = 2**24
PARTS = 4
"""Times that a soak is looked at."""


def kinds(clusters: Clusters, slices: int) -> dict[str, list[Ask]]:
    """Requests by kind of query."""
    rng = random.Random(0)
    rows = [row.tolist() for row in clusters.queries]
    where = ["videos=0000*", "start_s=5"]
    pages = [rng.randrange(max(1, slices // PER_VIDEO)) for _ in range(QUERIES)]
    return {
        "health": [Ask("GET", "/healthz")],
        "slice": [ask_for(SEARCH, {"slice_id": rng.randrange(slices)}) for _ in range(QUERIES)],
        "vector": [ask_for(SEARCH, {"vectors": [row]}) for row in rows],
        "vector, filtered": [ask_for(SEARCH, {"vectors": [row], "where": where}) for row in rows],
        "page of videos": [Ask("GET", f"/api/v1/videos?limit=50&offset={page}") for page in pages],
    }


def decoded_kinds(server: Server) -> dict[str, list[Ask]]:
    """Requests for which the server decodes, of a library of clips."""
    connection = http.client.HTTPConnection(server.host, server.port, timeout=60)
    connection.request("GET", "/api/v1/videos?limit=100")
    videos = json.loads(connection.getresponse().read())["videos"]
    connection.close()
    forms = [Multipart({"top": 10}, [DATA / "survfight" / video["video_id"]]) for video in videos]
    return {
        "span": [ask_for(SEARCH, {"video_id": video["video_id"], "end_s": 1}) for video in videos],
        "file": [
            Ask("POST", f"{SEARCH}/upload", b"".join(form), form.headers["Content-Type"]) for form in forms
        ],
        "poster": [Ask("GET", f"/media/{video['media_id']}/poster.jpg?at_s=1") for video in videos],
    }


@contextmanager
def serving(library: Path) -> Iterator[Server]:
    """A server of a library."""
    command = [sys.executable, "-m", "sora_video", "serve", str(library), "--port", "0", "--rate", "0"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        host, port = process.stdout.readline().split(" at http://")[1].split(";")[0].rsplit(":", 1)
        yield Server(host, int(port), process.pid)
    finally:
        process.terminate()
        process.wait(60)
        process.stdout.close()


def library_of(clusters: Clusters, slices: int, work: Path) -> Path:
    """A library of so many slices, made once."""
    path = work / f"{slices}.library"
    if not path.exists():
        beside = fresh(path)
        library = Library.create(beside, FINGERPRINT, DIM)
        clusters.fill(library, 0, slices)
        library.compact()
        beside.rename(path)
    return path


def tuned(library: Path, slices: int) -> Path:
    """The same library with an approximate index, made once."""
    path = library.with_name(f"{slices}-tuned.library")
    if not path.exists():
        beside = fresh(path)
        shutil.copytree(library, beside)
        Library.open(beside).tune(Target(memory=INDEX_BYTES * slices))
        beside.rename(path)
    return path


def fresh(path: Path) -> Path:
    """A place beside a library that is being made; what a killed run left there is deleted."""
    beside = path.with_suffix(".partial")
    shutil.rmtree(beside, ignore_errors=True)
    return beside


def read_once(library: Path) -> None:
    """Read the files of a library, so that the operating system keeps them in memory if there is room."""
    for path in library.rglob("*"):
        if path.is_file():
            with path.open("rb") as file:
                while file.read(BLOCK_BYTES):
                    pass


def latency(options: argparse.Namespace, say: Callable[[str], None]) -> None:
    """Measure every kind of query with every number of clients."""
    clusters = Clusters(DIM, CENTRES, QUERIES)
    for slices in options.slices:
        path = library_of(clusters, slices, options.work)
        libraries = {f"{slices:,}": path}
        if slices >= TUNED_FROM:
            libraries[f"{slices:,}, indexed"] = tuned(path, slices)
        for name, library in libraries.items():
            read_once(library)
            with serving(library) as server:
                for kind, asks in kinds(clusters, slices).items():
                    measure(server, (name, kind), asks, options.clients, options.seconds, say)
    library = clips_library(options.work)
    with serving(library) as server:
        count = f"{len(Library.open(library)):,}, of clips"
        few = [clients for clients in options.clients if clients <= FEW]
        for kind, asks in decoded_kinds(server).items():
            measure(server, (count, kind), asks, few, options.seconds, say)


def measure(
    server: Server,
    names: tuple[str, str],
    asks: Sequence[Ask],
    clients: Sequence[int],
    seconds: float,
    say: Callable[[str], None],
) -> None:
    """Rows of one kind of query; the most clients also ask once a second each."""
    load(server, asks, 1, 1.0)
    for count in clients:
        say(load(server, asks, count, seconds).row(*names, str(count)))
    count = max(clients)
    say(load(server, asks, count, seconds, pause_s=1.0).row(*names, f"{count}, once a second"))


@contextmanager
def changing(path: Path, clusters: Clusters) -> Iterator[None]:
    """Meanwhile videos come and go, attributes change, and the library is compacted."""
    library, end = Library.open(path), threading.Event()

    def work() -> None:
        turn = 0
        while not end.wait(1.0):
            turn += 1
            rows = embeddings(clusters.draw(np.random.default_rng(turn), PER_VIDEO), 10**8)
            library.add(rows)
            library.set_attributes({rows.videos()[0]: {"turn": turn}})
            library.remove(rows.videos())
            if turn % 5 == 0:
                library.compact()

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        end.set()
        thread.join()


def soak(options: argparse.Namespace, say: Callable[[str], None]) -> None:
    """Ask for everything for long while the library changes, and look at what the server holds."""
    clusters, slices = Clusters(DIM, CENTRES, QUERIES), min(options.slices)
    library = fresh(options.work / "soak.library")
    shutil.copytree(library_of(clusters, slices, options.work), library)
    with serving(library) as server, changing(library, clusters):
        asks = [ask for kind in kinds(clusters, slices).values() for ask in kind]
        random.Random(0).shuffle(asks)
        say("\n| minutes | clients | answers | refused | memory, MB | open files |\n" + 6 * "|---" + "|")
        answers = refused = 0
        for part in range(1, PARTS + 1):
            done = load(server, asks, max(options.clients), 60 * options.soak / PARTS)
            answers, refused = answers + len(done.taken), refused + done.refused
            memory_mb, files = holding(server.pid)
            minutes = f"| {part * options.soak / PARTS:g} | {max(options.clients)} "
            say(f"{minutes}| {answers:,} | {refused} | {memory_mb:.0f} | {files} |")
    for made in (library, library.with_name(f"{library.name}.serve")):
        shutil.rmtree(made)


def main(arguments: list[str] | None = None) -> None:
    """Measure, print, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--slices", type=int, nargs="+", default=[10_000, 1_000_000])
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 10, 50])
    parser.add_argument("--seconds", type=float, default=10.0, help="of each row")
    parser.add_argument("--soak", type=float, default=10.0, help="minutes; 0: none")
    parser.add_argument("--visits", type=int, default=5, help="of each view of the page; 0: none")
    parser.add_argument("--work", type=Path, default=WORK, help="folder of the libraries, which are kept")
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args(arguments)
    options.work.mkdir(parents=True, exist_ok=True)
    lines: list[str] = []

    def say(line: Any) -> None:
        print(line, flush=True)
        lines.append(str(line))
        write_text(options.out, "\n".join(lines) + "\n")  # what was measured stays if the rest fails

    say(
        f"# A server on this machine, vectors of {DIM} numbers\n\nSearches are exact, but for libraries that "
        "are indexed. The files of a library were read once before. `make bench-serve`; machine: "
        f"{machine()}.\n\n{HEAD}"
    )
    latency(options, say)
    if options.visits > 0:
        with serving(clips_library(options.work)) as server:
            measure_page(f"http://{server.host}:{server.port}", options.visits, say)
    if options.soak > 0:
        soak(options, say)


if __name__ == "__main__":
    main()
