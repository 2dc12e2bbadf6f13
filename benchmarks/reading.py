"""Which reader reads which kind of file, whether its pictures are those of decoding forward, and how fast.

``python -m benchmarks.reading`` writes ``benchmarks/results/reading.md``.
"""

import argparse
import os
import platform
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from textwrap import wrap

import av
import numpy as np

from sora_video.base.errors import VideoError
from sora_video.base.files import write_text
from sora_video.pretrain.video.decode import Frames, open_forward, open_video
from sora_video.pretrain.video.pixels import to_rgb

from .films import FILMS, Film, read_number, write_film
from .reading_rates import forward_rows, loader_rows
from .soak import soak_rows

__all__ = ["Comparison", "compare"]

RESULTS = Path(__file__).parent / "results" / "reading.md"
ODD = Path(__file__).parents[2] / "shared" / "data" / "odd"
SIZE = (64, 64)
TICK_S = 2e-3


@dataclass(frozen=True)
class Comparison:
    """How a film is read."""

    film: Film
    reader: str
    frames: int
    compared: int
    """Pictures, over all ways of asking for them."""
    right: int
    times_right: bool


def compare(path: Path, film: Film) -> Comparison:
    """Read a film's frames one by one in random order, all at once, and forward; compare with PyAV's own."""
    times, numbers = decode_forward(path)
    frames, forward = open_video(path, SIZE), open_forward(path, SIZE)
    order = np.random.default_rng(0).permutation(len(frames.times))
    asked = [*([place] for place in order), order]
    seen = [(place, number) for part in asked for place, number in read(frames, np.array(part))]
    seen += read(forward, np.arange(len(frames.times)))
    timed = len(times) == len(frames.times) and np.abs(frames.times - times).max() < TICK_S
    right = sum(place < len(numbers) and numbers[place] == number for place, number in seen)
    return Comparison(film, type(frames).__name__, len(numbers), len(seen), right, bool(timed))


def read(frames: Frames, asked: "np.typing.NDArray[np.int64]") -> list[tuple[int, int]]:
    """Frame numbers with the numbers that their pictures show."""
    pictures = frames.frames(asked)
    return [(int(place), read_number(picture)) for place, picture in zip(asked, pictures, strict=True)]


def decode_forward(path: Path) -> "tuple[np.typing.NDArray[np.float64], list[int]]":
    """Times from the first frame on, and the numbers shown, as PyAV decodes them.

    Stamps that are missing, or contradict the order of the pictures, are those of 25 pictures a second.
    """
    with av.open(path) as container:
        shown = [(frame.time, read_number(to_rgb(frame, SIZE))) for frame in container.decode(video=0)]
    stamps = np.array([np.nan if time is None else time for time, _ in shown])
    if container.format.name == "avi" or not (np.diff(stamps) > 0).all():
        stamps = np.arange(len(shown)) / 25
    return stamps - stamps[0], [number for _, number in shown]


def outcome(path: Path) -> str:
    """How one of the odd files is read."""
    try:
        frames = open_video(path, SIZE)
        frames.frames(np.array([0, len(frames.times) // 2, len(frames.times) - 1]))
    except VideoError as error:
        return f"refused: {error}"
    return type(frames).__name__


def matrix_rows() -> Iterator[str]:
    """A row for each kind of film."""
    with TemporaryDirectory() as folder:
        for film in FILMS:
            row = compare(write_film(Path(folder) / film.name, film), film)
            times = "right" if row.times_right else "WRONG"
            yield f"| {film.name} | {row.reader} | {row.frames} | {row.right} of {row.compared} | {times} |"


def odd_lines() -> list[str]:
    """How the odd files are read."""
    odd = {path.name: outcome(path) for path in sorted(ODD.rglob("*")) if path.is_file()}
    counts = Counter(one.partition(":")[0] for one in odd.values())
    lines = ["## Odd files", "", ", ".join(f"{name}: {count}" for name, count in counts.items()), ""]
    return [*lines, "| file | outcome |", "|---|---|", *(f"| {name} | {one} |" for name, one in odd.items())]


def rate_lines(rounds: int, batches: int) -> list[str]:
    """What supervised readers cost, and what reading forward gains."""
    return [
        *paragraph(
            f"""Supervised readers: slices a second of the training loader, 8 frames at 64 px, 2 readers.
            Before: torch's own DataLoader with 2 workers, which nothing supervises, reading the same samples
            by the same function. In turns, best of {rounds} rounds of {batches} batches of 64 wagon videos;
            {os.cpu_count()} cores, {platform.machine()}."""
        ),
        *("| what | after | before | ratio |", "|---|---:|---:|---:|", *loader_rows(rounds, batches), ""),
        *paragraph(
            f"""Reading forward: seconds of video a second when every slice of a file is read that was not
            opened before. Forward: as `sora embed` reads, its index made on the way. Random access: decord
            and nothing else, asked for the same frames. In one process, in turns, best of {rounds} rounds."""
        ),
        *("| what | forward | random access | ratio |", "|---|---:|---:|---:|", *forward_rows(rounds), ""),
    ]


def soak_lines(files: int) -> list[str]:
    """What is held while many files are read."""
    return [
        *paragraph(f"""Soak: {files:,} links to a film of 60 frames, read whole by two readers."""),
        "| process | MB at a third | MB at the end | open files at a third | open files at the end |",
        *("|---|---:|---:|---:|---:|", *soak_rows(files), ""),
    ]


def paragraph(text: str) -> list[str]:
    """Text as lines, and an empty line."""
    return [*wrap(" ".join(text.split()), 110, break_on_hyphens=False), ""]


def main() -> None:
    """Measure everything and write the report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--batches", type=int, default=24)
    parser.add_argument("--files", type=int, default=10_000, help="of the soak")
    arguments = parser.parse_args()
    lines = ["# How kinds of files are read", ""]
    lines += ["## Speed and memory", "", *rate_lines(arguments.rounds, arguments.batches)]
    lines += [*soak_lines(arguments.files), "## Kinds of films", ""]
    lines += [
        "| film | reader | frames | pictures right | times |",
        "|---|---|---:|---:|---|",
        *matrix_rows(),
    ]
    write_text(RESULTS, "\n".join([*lines, "", *odd_lines()]) + "\n")


if __name__ == "__main__":
    main()
