"""How long three users wait for a first useful result: ``python -m benchmarks.ways --before CHECKOUT``.

The commands are those of docs/tour, and what stood in their place in an older checkout. The module writes its
own section of results/people.md and leaves others as they are.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from sora_video.pretrain.video.corpus import open_corpus

from .costs import machine
from .people import ENCODER, PAGE, table, write_section
from .real import DATA, ROOT

VIDEOS, LABELLED = 60, 40
PRETRAIN = "pretrain videos --out run --config tiny-cpu"
WAYS: dict[str, tuple[str, dict[str, Sequence[str]]]] = {
    "engineer: where else does this happen?": (
        "wagon",
        {
            "before": (PRETRAIN, "index build library videos --model run", "search library query.mp4"),
            "after": (f"index build library videos --model {ENCODER}", "search library query.mp4"),
        },
    ),
    "researcher: a probe beside its baselines": (
        "survfight",
        {
            "before": (PRETRAIN, "probe videos/labels.csv --model run --report probe"),
            "after": (f"probe videos/labels.csv --model {ENCODER} --report probe",),
        },
    ),
    "small team: labels from a spreadsheet for all clips": (
        "survfight",
        {
            "before": (
                PRETRAIN,
                "classify train videos/sheet.csv --model run --out head",
                "classify train videos/plain.csv --model run --out head",
                "classify predict head videos --out timeline",
            ),
            "after": (
                f"classify train videos/sheet.csv --model {ENCODER} --out head",
                "classify predict head videos --out timeline",
            ),
        },
    ),
}
TEXT = f"""\
`python -m benchmarks.ways --before CHECKOUT`: seconds from a folder of {VIDEOS} clips to the first
useful result, each command with the start of Python. The spreadsheet has {LABELLED} labels and is saved
as a spreadsheet program does, with a byte-order mark, `;`, backslashes and empty last rows. Before: the
development version that had no published encoders; a command that it refused is counted, then the table
is converted by hand, which takes longer than shown. Machine: {{machine}}."""
COLUMNS = ("way", "version", "commands", "of them refused", "s", "of them pretraining")


def main() -> None:
    """Measure, print and write the section."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--before", type=Path, required=True, help="checkout of the older version")
    parser.add_argument("--out", type=Path, default=PAGE, help="page to write to")
    arguments = parser.parse_args()
    checkouts = {"before": arguments.before.resolve(), "after": ROOT}
    with tempfile.TemporaryDirectory() as scratch:
        section = table(TEXT.format(machine=machine()), COLUMNS, rows(checkouts, Path(scratch)))
    write_section(arguments.out, "Three ways, before and after", section)


def rows(checkouts: dict[str, Path], scratch: Path) -> Iterator[Sequence[object]]:
    """A row for each way and version; what two ways begin with on the same videos is run once."""
    known: dict[tuple[Path, str], tuple[int, float]] = {}
    for way, (name, versions) in WAYS.items():
        for version, commands in versions.items():
            folder = scratch / version / name
            if not folder.exists():
                fill(folder, name)
            for command in commands:
                if (folder, command) not in known:
                    known[folder, command] = run(command, checkouts[version], folder)
            runs = [known[folder, command] for command in commands]
            refused = sum(code == 2 for code, _ in runs)
            training = sum(
                seconds for (_, seconds), command in zip(runs, commands, strict=True) if command == PRETRAIN
            )
            yield (
                way,
                version,
                len(runs),
                refused,
                f"{sum(seconds for _, seconds in runs):.0f}",
                f"{training:.0f}",
            )


def fill(folder: Path, name: str) -> None:
    """Links to some videos of a set, their labels as a plain table and as a spreadsheet, and a query."""
    corpus = open_corpus(DATA / name / "labels.csv")
    some = corpus.videos[:: len(corpus) // VIDEOS][:VIDEOS]
    lines = []
    for video in some:
        link = folder / "videos" / video.video_id
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(video.path)
        lines.append([video.video_id, video.columns["label"], video.columns["split"]])
    (folder / "query.mp4").symlink_to(some[0].path)
    write_rows(folder / "videos" / "labels.csv", lines, ",")
    labelled = lines[:: len(lines) // LABELLED][:LABELLED]
    write_rows(folder / "videos" / "plain.csv", labelled, ",")
    windows = [[path.replace("/", "\\"), *others] for path, *others in labelled]
    write_rows(folder / "videos" / "sheet.csv", [*windows, ["", "", ""], ["", "", ""]], ";", mark="\ufeff")


def write_rows(path: Path, lines: Sequence[Sequence[str]], separator: str, mark: str = "") -> None:
    """A table of labels."""
    text = "\r\n".join(separator.join(line) for line in [["path", "label", "split"], *lines])
    path.write_text(f"{mark}{text}\r\n", encoding="utf-8", newline="")


def run(command: str, checkout: Path, folder: Path) -> tuple[int, float]:
    """Exit code and seconds of a command of a checkout."""
    began = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "sora_video", *command.split()],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(checkout)},
        capture_output=True,
        text=True,
    )
    if done.returncode not in (0, 2):
        raise SystemExit(f"sora {command}: {done.stderr}")
    return done.returncode, time.perf_counter() - began


if __name__ == "__main__":
    main()
