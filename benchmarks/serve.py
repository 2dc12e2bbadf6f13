"""What a server answers in, and how much: by query, clients and size of the library; its page; a soak.

Clients are threads of this process, each with a connection that stays open; the server is a process of its
own on the same machine. Vectors are drawn from clusters, see :mod:`.clusters`.
"""

import argparse
import http.client
import json
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.clusters import FINGERPRINT, PER_VIDEO, Clusters
from benchmarks.serve_page import clips_library, measure_page
from benchmarks.soak import holding
from sora_video.base.files import write_text
from sora_video.index.library import Library

RESULTS = Path(__file__).with_name("results") / "serve.md"
WORK = Path(tempfile.gettempdir()) / "sora-bench-serve"
DIM, CENTRES, QUERIES = 512, 5000, 200
HEAD = "| slices | query | clients | p50, ms | p95, ms | p99, ms | answers/s | refused |\n" + 8 * "|---" + "|"

Ask = tuple[str, str, bytes | None]
"""Method, path and body of a request."""


def vector_asks(clusters: Clusters, count: int, where: list[str]) -> list[Ask]:
    """Searches by one vector each."""
    bodies = ({"vectors": [row.tolist()], "where": where} for row in clusters.queries[:count])
    return [("POST", "/api/v1/search", json.dumps(body).encode()) for body in bodies]


def kinds(clusters: Clusters, slices: int) -> dict[str, list[Ask]]:
    """Requests by kind of query."""
    rng = random.Random(0)
    by_slice = ({"slice_id": rng.randrange(slices)} for _ in range(QUERIES))
    pages = (rng.randrange(max(1, slices // PER_VIDEO)) for _ in range(QUERIES))
    return {
        "health": [("GET", "/healthz", None)],
        "slice": [("POST", "/api/v1/search", json.dumps(body).encode()) for body in by_slice],
        "vector": vector_asks(clusters, QUERIES, []),
        "vector, filtered": vector_asks(clusters, QUERIES, ["videos=0000*", "start_s=5"]),
        "page of videos": [("GET", f"/api/v1/videos?limit=50&offset={page}", None) for page in pages],
    }


@contextmanager
def server(library: Path) -> Iterator[tuple[str, int, int]]:
    """A server of a library: its host, port and process."""
    command = [sys.executable, "-m", "sora_video", "serve", str(library), "--port", "0", "--rate", "0"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        address = process.stdout.readline().split(" at http://")[1].split(";")[0]
        host, port = address.rsplit(":", 1)
        yield host, int(port), process.pid
    finally:
        process.terminate()
        process.wait(60)
        process.stdout.close()


def load(host: str, port: int, asks: list[Ask], clients: int, seconds: float) -> tuple[list[float], int]:
    """Ask for some seconds: seconds of each answer, and how many were refused."""
    taken, refused, lock, end = list[float](), [0], threading.Lock(), time.monotonic() + seconds

    def work(first: int) -> None:
        connection, number, own, bad = (
            http.client.HTTPConnection(host, port, timeout=300),
            first,
            list[float](),
            0,
        )
        while time.monotonic() < end:
            method, path, body = asks[number % len(asks)]
            began = time.perf_counter()
            connection.request(method, path, body, {"Content-Type": "application/json"} if body else {})
            answer = connection.getresponse()
            answer.read()
            own.append(time.perf_counter() - began)
            bad += answer.status != http.client.OK
            number += clients
        connection.close()
        with lock:
            taken.extend(own)
            refused[0] += bad

    threads = [threading.Thread(target=work, args=(number,)) for number in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return taken, refused[0]


def row(slices: int, kind: str, clients: int, found: tuple[list[float], int], seconds: float) -> str:
    """A line of the table."""
    taken, refused = found
    p50, p95, p99 = 1e3 * np.percentile(taken, [50, 95, 99])
    rate = len(taken) / seconds
    return f"| {slices:,} | {kind} | {clients} | {p50:.1f} | {p95:.1f} | {p99:.1f} | {rate:.0f} | {refused} |"


def library_of(clusters: Clusters, slices: int, work: Path) -> Path:
    """A library of so many slices, made once."""
    path = work / f"{slices}.library"
    if not path.exists():
        beside = path.with_suffix(".partial")
        library = Library.create(beside, FINGERPRINT, DIM)
        clusters.fill(library, 0, slices)
        library.compact()
        beside.rename(path)
    return path


def latency(options: argparse.Namespace, say: Callable[[str], None]) -> None:
    """Measure every kind of query with every number of clients."""
    clusters = Clusters(DIM, CENTRES, QUERIES)
    for slices in options.slices:
        with server(library_of(clusters, slices, options.work)) as (host, port, _):
            for kind, asks in kinds(clusters, slices).items():
                load(host, port, asks, 1, 1.0)
                for clients in options.clients:
                    say(
                        row(
                            slices,
                            kind,
                            clients,
                            load(host, port, asks, clients, options.seconds),
                            options.seconds,
                        )
                    )


def soak(options: argparse.Namespace, say: Callable[[str], None]) -> None:
    """Ask for everything for long, and look at what the server holds."""
    clusters, slices = Clusters(DIM, CENTRES, QUERIES), min(options.slices)
    with server(library_of(clusters, slices, options.work)) as (host, port, pid):
        asks = [ask for kind in kinds(clusters, slices).values() for ask in kind]
        random.Random(0).shuffle(asks)
        say("\n| minutes | answers | refused | memory, MB | open files |\n|---|---|---|---|---|")
        answers = refused = 0
        for part in range(1, 5):
            taken, bad = load(host, port, asks, 10, 15 * options.soak)
            answers, refused = answers + len(taken), refused + bad
            memory_mb, files = holding(pid)
            say(f"| {part * options.soak / 4:g} | {answers:,} | {refused} | {memory_mb:.0f} | {files} |")


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

    say(f"# A server on this machine, vectors of {DIM} numbers, exact search\n\n{HEAD}")
    latency(options, say)
    if options.visits > 0:
        with server(clips_library(options.work)) as (host, port, _):
            measure_page(f"http://{host}:{port}", options.visits, say)
    if options.soak > 0:
        soak(options, say)
    write_text(options.out, "\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
