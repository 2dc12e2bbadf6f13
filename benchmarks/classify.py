"""Classifying and watching long videos: time and memory: ``python -m benchmarks.classify``.

Films are files of the data folder's wagon set after each other, encoded anew in a scratch folder. Each
measurement is a `sora` command in a process of its own; its time has all in it, its memory is the peak.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import av

from sora_video.base.files import write_text
from sora_video.configs.loader import load_config
from sora_video.index.build import build_library
from sora_video.pretrain.training.loop import pretrain_encoder
from sora_video.pretrain.video.corpus import Corpus, open_corpus
from sora_video.pretrain.video.scan import scan

from .costs import machine
from .real import DATA, RESULTS

FPS = 15
SIZE = (176, 128)
NORMAL = 60
"""Videos of the library."""
MEASURED = """
import pathlib, sys
from sora_video.cli.main import main
try:
    main()
finally:
    print(pathlib.Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0], file=sys.stderr)
"""


class Measured(NamedTuple):
    """One command."""

    seconds: float
    peak_mb: float
    printed: str


def run_command(*arguments: object) -> Measured:
    """Run `sora` in a process that says at its end how much memory it had at most (Linux)."""
    began = time.monotonic()
    command = [sys.executable, "-c", MEASURED, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"sora {' '.join(map(str, arguments))}: {done.stderr}")
    return Measured(time.monotonic() - began, int(done.stderr.split()[-1]) / 1024, done.stdout)


def write_film(path: Path, corpus: Corpus, minutes: float) -> None:
    """Write a film of that length; the corpus is begun again where it is too short."""
    wanted, number = round(60 * minutes * FPS), 0
    with av.open(path, "w") as container:
        stream = container.add_stream("libx264", rate=FPS, options={"preset": "ultrafast"})
        stream.width, stream.height = SIZE
        stream.pix_fmt = "yuv420p"
        for frame in frames(corpus):
            shown = frame.reformat(*SIZE, format="yuv420p")
            shown.pts, shown.time_base = number, Fraction(1, FPS)
            container.mux(stream.encode(shown))
            number += 1
            if number == wanted:
                break
        container.mux(stream.encode())


def frames(corpus: Corpus) -> Iterator[av.VideoFrame]:
    """Frames of a corpus over and over."""
    while True:
        for video in corpus.videos:
            with av.open(video.path) as container:
                yield from container.decode(video=0)


def rows(scratch: Path, minutes: list[float]) -> Iterator[str]:
    """Every measurement, a row each."""
    wagon, hands = open_corpus(DATA / "wagon" / "labels.csv"), DATA / "handwash" / "labels.csv"
    some = Corpus(wagon.root, wagon.videos[:NORMAL])
    run = pretrain_encoder(some, scratch / "run", load_config("tiny-cpu", ["optim.epochs=1"])).path
    trained = run_command("classify", "train", hands, "--model", run, "--out", scratch / "head", "--json")
    hours = scan(open_corpus(hands)).hours
    yield row("`sora classify train` on handwash", 3600 * hours, trained.seconds, trained.peak_mb)
    build_library(scratch / "library", some, run)
    for length in minutes:
        film = scratch / f"{length:g}.mp4"
        write_film(film, wagon, length)
        done = run_command(
            "classify", "predict", scratch / "head", film, "--out", scratch / f"out {length:g}"
        )
        yield row("`sora classify predict`", 60 * length, done.seconds, done.peak_mb)
        watched = run_command("watch", scratch / "library", film)
        summary = json.loads(watched.printed.splitlines()[-1])
        yield row("`sora watch`, the stream alone", 60 * length, summary["wall_s"], watched.peak_mb)


def row(what: str, seconds: float, wall_s: float, peak_mb: float) -> str:
    """A row of the table."""
    return f"| {what} | {seconds / 60:.0f} | {wall_s:.1f} | {seconds / wall_s:.0f} | {peak_mb:.0f} |"


def main() -> None:
    """Measure, print and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, nargs="+", default=[10, 60], help="lengths of the films")
    parser.add_argument("--out", type=Path, default=RESULTS / "classify.md", help="file to write")
    arguments = parser.parse_args()
    lines = [
        "# Long videos: time and memory",
        "",
        f"`make bench-downstream`; machine: {machine()}.",
        f"r3d_tiny of the recipe `tiny-cpu`, films of {SIZE[0]} x {SIZE[1]} pixels, {FPS} frames a second,",
        f"H.264; a library of {NORMAL} normal videos. Commands are timed whole, imports and writing too;",
        "of `sora watch` it is the stream, after the threshold has been set. Memory is the process's peak.",
        "",
        "| what | minutes of video | seconds | times real time | peak memory, MB |",
        "|---|---|---|---|---|",
    ]
    print("\n".join(lines), flush=True)
    with tempfile.TemporaryDirectory() as scratch:
        for found in rows(Path(scratch), arguments.minutes):
            print(found, flush=True)
            lines.append(found)
    write_text(arguments.out, "\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
