"""Which reader reads which kind of file, and whether its pictures are those of decoding forward.

``python -m benchmarks.reading`` writes ``benchmarks/results/reading.md``.
"""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import av
import numpy as np

from sora_video.base.errors import VideoError
from sora_video.base.files import write_text
from sora_video.pretrain.video.decode import Frames, open_forward, open_video
from sora_video.pretrain.video.pixels import to_rgb

from .films import FILMS, Film, read_number, write_film

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


def report() -> str:
    """The table of kinds, and of the odd files."""
    lines = ["# How kinds of files are read", "", "| film | reader | frames | pictures right | times |"]
    lines += ["|---|---|---:|---:|---|"]
    with TemporaryDirectory() as folder:
        for film in FILMS:
            row = compare(write_film(Path(folder) / film.name, film), film)
            times = "right" if row.times_right else "WRONG"
            lines.append(
                f"| {film.name} | {row.reader} | {row.frames} | {row.right} of {row.compared} | {times} |"
            )
    odd = {path.name: outcome(path) for path in sorted(ODD.rglob("*")) if path.is_file()}
    counts = Counter(one.partition(":")[0] for one in odd.values())
    lines += ["", "## Odd files", "", ", ".join(f"{name}: {count}" for name, count in counts.items()), ""]
    lines += ["| file | outcome |", "|---|---|", *(f"| {name} | {one} |" for name, one in odd.items())]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    write_text(RESULTS, report())
