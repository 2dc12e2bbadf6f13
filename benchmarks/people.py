"""Are confidences right, and does a watch notice another world? ``python -m benchmarks.people``.

Heads are on a published encoder; a random and a hardly trained one watch too. The module writes its own two
sections of results/people.md and leaves others as they are.
"""

import argparse
import re
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from textwrap import wrap

import torch

from sora_video.base.files import write_text
from sora_video.configs.loader import load_config
from sora_video.downstream.classify.calibrate import Calibration, Codes, Logits, score_logits
from sora_video.downstream.classify.fit import fit_tasks, make_recipe
from sora_video.downstream.classify.parts import POOLS
from sora_video.downstream.classify.tasks import read_tasks
from sora_video.index.build import build_library
from sora_video.pretrain.encoders.embeddings import Embeddings, read_embeddings, write_embeddings
from sora_video.pretrain.encoders.entries import rows_by_entry
from sora_video.pretrain.encoders.fingerprint import fingerprint
from sora_video.pretrain.encoders.load import load_encoder
from sora_video.pretrain.encoders.registry import build_encoder
from sora_video.pretrain.encoders.weights import write_weights
from sora_video.pretrain.training.loop import pretrain_encoder
from sora_video.pretrain.training.run.folder import Run
from sora_video.pretrain.video.corpus import Corpus, Video, open_corpus
from sora_video.watch.foreign import doubts, try_foreign_films
from sora_video.watch.normal import Normal, open_normal
from sora_video.watch.stream import watch_stream

from .real import DATA, RESULTS, TASKS

ENCODER = "package:efficientnet_lite0"
PAGE = RESULTS / "people.md"
NORMAL, FOREIGN = 40, 3
"""Videos of wagons in the library, and of each foreign set."""
FALSE_ALARMS = "0.01"
BLACK = "bridge_up/"
"""Clips with black pictures, of which an untrained encoder makes embeddings of length 0, left out."""


def main() -> None:
    """Measure, print and write both sections."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--keep", type=Path, help="folder of embeddings, read where they are there")
    parser.add_argument("--out", type=Path, default=PAGE, help="page to write to")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        kept = arguments.keep or Path(scratch)
        write_section(
            arguments.out,
            "Calibration, with and without",
            table(CALIBRATION, COLUMNS, calibration_rows(kept)),
        )
        write_section(
            arguments.out, "Alerts on another world", table(WATCHED, WATCH_COLUMNS, watch_rows(Path(scratch)))
        )


def write_section(path: Path, title: str, text: str) -> None:
    """Write a section to the page, in place of the one of this title."""
    page = path.read_text(encoding="utf-8") if path.exists() else "# What people meet\n"
    write_text(path, with_section(page, title, text))


def with_section(page: str, title: str, text: str) -> str:
    """A page with a section of this title in place of the one it has, or at its end."""
    section = f"## {title}\n\n{text}\n"
    old = re.compile(rf"^## {re.escape(title)}\n.*?(?=^## |\Z)", re.MULTILINE | re.DOTALL)
    if old.search(page):
        return old.sub(lambda _: f"{section}\n", page).rstrip() + "\n"
    return f"{page.rstrip()}\n\n{section}"


def table(text: str, columns: Sequence[str], rows: Iterator[Sequence[object]]) -> str:
    """A text and a table, which is printed as it comes."""
    lines = wrap(" ".join(text.split()), 110, break_on_hyphens=False)
    lines += ["", f"| {' | '.join(columns)} |", "|---" * len(columns) + "|"]
    print("\n".join(lines), flush=True)
    for row in rows:
        lines.append(f"| {' | '.join(map(str, row))} |")
        print(lines[-1], flush=True)
    return "\n".join(lines)


CALIBRATION = f"""\
`python -m benchmarks.people`: linear heads on mean-pooled slices of `{ENCODER}`, classes weighted or
not. Log loss (nats) and expected calibration error (15 bins) with the temperature / without. Folds are
those of the training rows, by group, each under the temperature that the others give; they decide what
is kept. Test rows decide nothing; "right" says whether their log loss agrees. One seed; test sets are
of 22 to 202 clips.
"""
COLUMNS = (
    "task",
    "weights",
    "temperature",
    "folds: log loss",
    "folds: error",
    "kept",
    "test: log loss",
    "test: error",
    "right",
)


def calibration_rows(kept: Path) -> Iterator[Sequence[object]]:
    """A row for each task and way to weight classes."""
    for name, (folder, split) in TASKS.items():
        corpus = open_corpus(DATA / folder / "labels.csv")
        embeddings = embedded(kept / f"{folder}.parquet", corpus)
        slices = POOLS.load("mean").training_rows(embeddings, rows_by_entry(embeddings, corpus))
        tasks = read_tasks(corpus, ["label"], "group", split)
        for weights in ("balanced", "none"):
            [head] = fit_tasks(tasks, slices, make_recipe("linear", "mean", weights, 0))
            with torch.no_grad():
                logits = head.head.double()(slices.select(tasks[0].test)).numpy()
            found = Calibration(**head.calibration)
            yield name, weights, *calibration_row(found, logits, tasks[0].codes[tasks[0].test])


def calibration_row(found: Calibration, logits: Logits, codes: Codes) -> Iterator[object]:
    """What the folds say of a temperature, and what the test rows say."""
    scaled, raw = (score_logits(each, codes) for each in (logits / found.fitted, logits))
    yield f"{found.fitted:.2f}"
    yield f"{found.log_loss:.3f} / {found.log_loss_uncalibrated:.3f}"
    yield f"{found.calibration_error:.3f} / {found.calibration_error_uncalibrated:.3f}"
    yield said(found.kept)
    for metric in ("log_loss", "calibration_error"):
        yield f"{scaled[metric]:.3f} / {raw[metric]:.3f}"
    yield said(found.kept == (scaled["log_loss"] < raw["log_loss"]))


def said(fact: bool) -> str:
    """Yes or no."""
    return "yes" if fact else "no"


def embedded(path: Path, corpus: Corpus) -> Embeddings:
    """The embeddings of a set, made where they are not there."""
    if not path.exists():
        write_embeddings(load_encoder(ENCODER).embed(corpus), path)
    return read_embeddings(path)


WATCHED = f"""\
`python -m benchmarks.people`: a library of {NORMAL} clips of rail wagons watches {FOREIGN} clips each
of hand-washing, street scenes and a room (handwash, survfight, coffeefall), and as many other clips of
wagons, at `--false-alarms {FALSE_ALARMS}`. "random" has the weights that it starts with; "weak" was
pretrained on the clips of the library for one epoch, both by the recipe `tiny-cpu`; "published" is
`{ENCODER}`. What is over the threshold is the same as before the watch tried foreign films; then it
said nothing, now it says what the last columns show.
"""
WATCH_COLUMNS = (
    "encoder",
    "half of its own distances, threshold",
    "foreign slices over",
    "wagon slices over",
    "would not be noticed",
    "hardly tells apart",
)


def watch_rows(scratch: Path) -> Iterator[Sequence[object]]:
    """A row for each encoder."""
    wagons = open_corpus(DATA / "wagon" / "labels.csv")
    wagons = Corpus(
        wagons.root, tuple(video for video in wagons.videos if not video.video_id.startswith(BLACK))
    )
    some = wagons.videos[:: len(wagons.videos) // (NORMAL + 3 * FOREIGN)]
    library, rest = Corpus(wagons.root, some[:NORMAL]), some[NORMAL:][: 3 * FOREIGN]
    foreign = [video.path for name in ("handwash", "survfight", "coffeefall") for video in spread(name)]
    for name, spec in encoders(library, scratch).items():
        build_library(scratch / f"{name}.library", library, spec)
        normal = open_normal(scratch / f"{name}.library", false_alarms=FALSE_ALARMS)
        films = try_foreign_films(normal)
        yield (
            name,
            f"{normal.spread['0.5']:.2g}, {normal.threshold.distance:.2g}",
            share_over(normal, foreign),
            share_over(normal, [video.path for video in rest]),
            ", ".join(film.name for film in films if not film.noticed) or "nothing",
            said(any("hardly tells them apart" in doubt for doubt in doubts(normal, films))),
        )


def spread(folder: str) -> Sequence[Video]:
    """Some videos of a set."""
    videos = open_corpus(DATA / folder / "labels.csv").videos
    return videos[:: len(videos) // FOREIGN][:FOREIGN]


def encoders(videos: Corpus, scratch: Path) -> dict[str, str]:
    """Specs of a random, a weak and a published encoder."""
    config = load_config("tiny-cpu", ["optim.epochs=1", "optim.warmup_epochs=0"])
    Run.new(scratch / "random", config).begin()
    weights = build_encoder(config.encoder, seed=0).state_dict()
    write_weights(scratch / "random", weights, fingerprint(weights, config.encoder, config.slice))
    weak = pretrain_encoder(videos, scratch / "weak", config).path
    return {"random": str(scratch / "random"), "weak": str(weak), "published": ENCODER}


def share_over(normal: Normal, films: Sequence[Path]) -> str:
    """Slices of films that are over the threshold, of all."""
    over = slices = 0
    for film in films:
        *_, summary = watch_stream(normal, str(film))
        over, slices = over + summary["slices_over"], slices + summary["slices"]
    return f"{over} of {slices}"


if __name__ == "__main__":
    main()
