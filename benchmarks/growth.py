"""Memory of embedding, and of building from embeddings, as they grow: ``python -m benchmarks.growth``."""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from sora_video.pretrain.encoders.embeddings import Embeddings, write_embeddings
from sora_video.pretrain.encoders.streamed import StreamedTable

from .costs import machine
from .films import RATE, Film, write_film
from .ray_embedding import untrained_run
from .real import write_table

MODEL = "package:efficientnet_lite0"
UNTRAINED = "untrained"
"""A small one of random weights, which is quicker."""
SMALL = ("encoder.width=4", "slice.size=32", "augment.size=32")
"""Its options."""
MOST_NUMBERS = 4096
FILM = Film("mp4", "h264", "closed groups")
MOST_LINKS = 50_000
"""To one file; file systems allow 65,000."""
DIM, VIDEO_SLICES, PART_SLICES = 128, 100, 50_000
"""Of embeddings from which libraries are built."""
MEASURED = """
import resource, sys, threading, time
from sora_video.cli.main import main
peak = 0
def look():
    global peak
    while True:
        (own,) = [line.split()[1] for line in open("/proc/self/status") if line.startswith("RssAnon")]
        peak = max(peak, int(own))
        time.sleep(0.02)
threading.Thread(target=look, daemon=True).start()
try:
    main()
finally:
    print(peak, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss, file=sys.stderr)
"""
"""Files that are mapped into memory are not counted of the caller; the kernel keeps them as it likes."""


class Peak(NamedTuple):
    """The most memory that one `sora embed` held, in MB."""

    caller: float
    reader: float
    """The reader that held most."""
    slices: int


def embed(source: Path, model: str, out: Path) -> Peak:
    """Embed in a process of its own (Linux); what it writes is deleted."""
    caller, reader = run(["embed", str(source), "--model", model, "--out", str(out)])
    slices = StreamedTable(out).rows
    shutil.rmtree(out)
    return Peak(caller, reader, slices)


def run(arguments: Sequence[str]) -> tuple[float, float]:
    """Run `sora` in a process of its own: its peak in MB, and that of the process of its that held most."""
    done = subprocess.run([sys.executable, "-c", MEASURED, *arguments], capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"sora {' '.join(arguments)}: {done.stderr}")
    own, others = (int(line) / 1024 for line in done.stderr.split()[-2:])
    return own, others


def build(scratch: Path, slices: int) -> str:
    """Build a library of parts in a process of its own; a row of the table."""
    parts = scratch / f"parts {slices}"
    rng = np.random.default_rng(0)
    for number, first in enumerate(range(0, slices, PART_SLICES)):
        count = min(PART_SLICES, slices - first)
        vectors = rng.normal(size=(count, DIM)).astype(np.float32)
        table = Embeddings(
            video_id=np.array([f"{(first + row) // VIDEO_SLICES}.mp4" for row in range(count)], object),
            slice_no=np.arange(first, first + count, dtype=np.int32) % VIDEO_SLICES,
            start_s=np.arange(count, dtype=np.float64),
            end_s=np.arange(2, 2 + count, dtype=np.float64),
            vectors=vectors / np.linalg.norm(vectors, axis=1, keepdims=True),
            fingerprint="f" * 64,
        )
        write_embeddings(table, parts / f"part-{number:06d}.parquet")
    peak = run(["index", "build", str(scratch / f"library {slices}"), str(parts)])[0]
    shutil.rmtree(scratch / f"library {slices}")
    shutil.rmtree(parts)
    return "| " + " | ".join(["library of parts", "", f"{slices}", f"{peak:.0f}", ""]) + " |"


def film_of(seconds: int, path: Path) -> Path:
    """Write a film of that length, whose pictures come again."""
    return write_film(path, FILM, (number % MOST_NUMBERS for number in range(seconds * RATE)))


def rows(scratch: Path, options: argparse.Namespace) -> Iterator[str]:
    """One row a measurement, each once."""
    model = str(untrained_run(scratch / "run", *SMALL)) if options.model == UNTRAINED else options.model
    for times in options.lengths:
        film = film_of(options.seconds * times, scratch / f"{times}.mp4")
        yield row("one video", options.seconds * times, embed(film, model, scratch / "embeddings"))
    for count in options.counts:
        folder = linked(options.short, count, scratch)
        yield row(f"{count} videos", options.short * count, embed(folder, model, scratch / "embeddings"))
        shutil.rmtree(folder)
    for count in options.slices:
        yield build(scratch, count)


def linked(seconds: int, count: int, scratch: Path) -> Path:
    """A folder of so many videos of that length: links to few files."""
    folder = scratch / f"videos {count}"
    folder.mkdir()
    for first in range(0, count, MOST_LINKS):
        film = film_of(seconds, scratch / f"{count} {first}.mp4")
        for number in range(first, min(first + MOST_LINKS, count)):
            os.link(film, folder / f"{number}.mp4")
    return folder


def row(what: str, seconds: int, peak: Peak) -> str:
    """A row of the table."""
    cells = [what, f"{seconds / 60:.1f}", f"{peak.slices}", *(f"{value:.0f}" for value in peak[:2])]
    return "| " + " | ".join(cells) + " |"


def main() -> None:
    """Measure, print and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=120, help="of the shortest of the long videos")
    parser.add_argument("--lengths", type=int, nargs="*", default=[1, 4, 16], help="how often as long")
    parser.add_argument("--short", type=int, default=10, help="seconds of each of many videos")
    parser.add_argument("--counts", type=int, nargs="*", default=[10, 40, 160], help="of these videos")
    parser.add_argument(
        "--slices", type=int, nargs="*", default=[100_000, 400_000, 1_600_000], help="of libraries of parts"
    )
    parser.add_argument(
        "--model", default=MODEL, help=f"spec of an encoder, or {UNTRAINED}: a small one of random weights"
    )
    parser.add_argument(
        "--name", default="growth.md", help="file to write, in the results or an absolute path"
    )
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        write_table(
            arguments.name,
            "Memory by length and number of videos",
            f"""`make bench-published bench-scale`; machine: {machine()}. `sora embed` with
            `{arguments.model}`, each time in a process of its own: the peak of its memory but for mapped
            files, and of that reader's that held most. Libraries are built by `sora index build` of parts of
            {PART_SLICES} random slices of {DIM} numbers.""",
            ["what", "minutes of video", "slices", "peak, MB", "reader's peak, MB"],
            rows(Path(scratch), arguments),
        )


if __name__ == "__main__":
    main()
