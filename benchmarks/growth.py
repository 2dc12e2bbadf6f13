"""Memory of embedding by the length of a video and the number of videos: ``python -m benchmarks.growth``."""

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from sora_video.pretrain.encoders.embeddings import read_embeddings

from .costs import machine
from .films import RATE, Film, write_film
from .real import write_table

MODEL = "package:efficientnet_lite0"
MOST_NUMBERS = 4096
FILM = Film("mp4", "h264", "closed groups")
SHORT_S = 10
"""Seconds of each of many videos."""
MEASURED = """
import resource, sys
from sora_video.cli.main import main
try:
    main()
finally:
    for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN):
        print(resource.getrusage(who).ru_maxrss, file=sys.stderr)
"""


class Peak(NamedTuple):
    """The most memory that one `sora embed` held, in MB."""

    caller: float
    reader: float
    """The reader that held most."""
    slices: int


def embed(source: Path, out: Path) -> Peak:
    """Embed in a process of its own (Linux)."""
    arguments = ["embed", str(source), "--model", MODEL, "--out", str(out)]
    done = subprocess.run([sys.executable, "-c", MEASURED, *arguments], capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"sora {' '.join(arguments)}: {done.stderr}")
    caller, reader = (int(line) / 1024 for line in done.stderr.split()[-2:])
    return Peak(caller, reader, len(read_embeddings(out)))


def film_of(seconds: int, path: Path) -> Path:
    """Write a film of that length, whose pictures come again."""
    return write_film(path, FILM, (number % MOST_NUMBERS for number in range(seconds * RATE)))


def rows(scratch: Path, seconds: int, lengths: Sequence[int], counts: Sequence[int]) -> Iterator[str]:
    """One row a measurement, each once."""
    for times in lengths:
        film = film_of(seconds * times, scratch / f"{times}.mp4")
        yield row("one video", seconds * times, embed(film, scratch / "out.parquet"))
    short = film_of(SHORT_S, scratch / "short.mp4")
    for count in counts:
        folder = scratch / f"videos {count}"
        folder.mkdir()
        for number in range(count):
            os.link(short, folder / f"{number}.mp4")
        yield row(f"{count} videos", SHORT_S * count, embed(folder, scratch / "out.parquet"))


def row(what: str, seconds: int, peak: Peak) -> str:
    """A row of the table."""
    cells = [what, f"{seconds / 60:.1f}", f"{peak.slices}", *(f"{value:.0f}" for value in peak[:2])]
    return "| " + " | ".join(cells) + " |"


def main() -> None:
    """Measure, print and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=120, help="of the shortest of the long videos")
    parser.add_argument("--lengths", type=int, nargs="+", default=[1, 4, 16], help="how often as long")
    parser.add_argument("--counts", type=int, nargs="+", default=[10, 40, 160], help="of videos of 10 s")
    parser.add_argument(
        "--name", default="growth.md", help="file to write, in the results or an absolute path"
    )
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        write_table(
            arguments.name,
            "Memory by length and number of videos",
            f"""`make bench-published`; machine: {machine()}. `sora embed` with `{MODEL}`, each time in a
            process of its own: the peak of its resident memory, and of that reader's that held most.""",
            ["what", "minutes of video", "slices", "peak, MB", "reader's peak, MB"],
            rows(Path(scratch), arguments.seconds, arguments.lengths, arguments.counts),
        )


if __name__ == "__main__":
    main()
