"""Published encoders, untrained and adapted: ``python -m benchmarks.published``.

Every encoder embeds the unlabelled videos of three data sets once; excerpts are searched for among these
embeddings, and probes trained on their means. Runs are kept where ``--runs`` says, and not trained again.
"""

import argparse
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from sora_video.configs.loader import load_config
from sora_video.configs.schema import PretrainConfig
from sora_video.pretrain.encoders.aspects import Aspect, find_aspect
from sora_video.pretrain.encoders.embeddings import Embeddings, read_embeddings, write_embeddings
from sora_video.pretrain.encoders.export.whiten import POWER
from sora_video.pretrain.encoders.frozen import VideoEncoder, random_encoder
from sora_video.pretrain.encoders.joined import JoinedEncoder
from sora_video.pretrain.encoders.load import load_encoder
from sora_video.pretrain.encoders.one_stream import one_stream
from sora_video.pretrain.encoders.published.fetch import fetch_model
from sora_video.pretrain.encoders.spectrum import fit_spectrum
from sora_video.pretrain.training.init import new_config
from sora_video.pretrain.training.loop import pretrain_encoder
from sora_video.pretrain.video.corpus import Corpus, open_corpus

from . import moments
from .costs import machine
from .excerpts import Excerpt
from .probes import probe_tasks
from .real import ADAPT, TASKS, kept_rows, task_videos, write_table

LITE = "package:efficientnet_lite0"
TIME = (
    "encoder.name=sora",
    f"encoder.frame={LITE}",
    "slice.frames=4",
    "slice.fps=4",
    "augment.reverse=0.5",
)
PROBES = """`make bench-published`: {facts}. Linear / kNN / R@1 on {rows}: balanced accuracy of the linear
probe and of the weighted vote, and retrieval from train by test. Means over seeds, and the means of the four
tasks with their range over seeds. Runs saw all videos, the test rows included, and no label; all were trained
for about the same time, the features of frozen frames included. A + B: joined with equal weights. Random
weights: of the same network. Pixels: the mean frame of each slice, small. Whitened: each stream, to the power
of {power:g}, fitted to the slices of all videos."""
EXCERPTS = (
    """`make bench-published`: {facts}; runs of seed 0; excerpts for {what}. Columns as in moments.md."""
)


@dataclass(frozen=True)
class Way:
    """How a run is trained."""

    name: str
    epochs_a_minute: float
    """On two cores; so that all take the same time."""
    before: float = 0.0
    """Minutes before the first epoch."""
    recipe: str | None = None
    settings: Sequence[str] = ()
    init: str | None = None

    def config(self, seed: int, minutes: float) -> PretrainConfig:
        """All settings of one run."""
        epochs = max(2, round(self.epochs_a_minute * (minutes - self.before)))
        given = [
            *self.settings,
            f"seed={seed}",
            f"optim.epochs={epochs}",
            f"optim.warmup_epochs={epochs / 10}",
        ]
        return new_config(self.recipe, [*given, "encoder.whiten=0"], self.init)


FROM_NOTHING, INIT, FROZEN = "from nothing", "from published weights", "time over frozen frames"
WAYS = (
    Way(FROM_NOTHING, 5.0, recipe="tiny-cpu", settings=("loss.intra=none",)),
    Way(INIT, 2.2, settings=ADAPT, init=LITE),
    Way(FROZEN, 25.0, before=2.2, settings=TIME),
)
PUBLISHED, PIXELS, RANDOM, WHITE = "published", "pixels", ", random weights", ", whitened"
BY_MOTION = ", by motion"
"""What a run is called of which the motion alone is taken."""
MOTION, DEEP = "published, mean and motion", "published, mean and motion of the frames' features"
POOLING: dict[str, dict[str, Any]] = {
    MOTION: {"pool": "mean+motion"},
    DEEP: {"pool": "mean+motion", "depths": [], "cells": 1},
}
FIXED = (PUBLISHED, MOTION, DEEP, PIXELS, PUBLISHED + RANDOM, MOTION + RANDOM, DEEP + RANDOM)
"""Measured once, not for every seed."""
Name = str | tuple[str, str]
ALONE = (PUBLISHED, MOTION, DEEP, FROM_NOTHING, FROM_NOTHING + BY_MOTION, INIT, FROZEN)
OTHERS = (PUBLISHED + RANDOM, MOTION + RANDOM, DEEP + RANDOM, PIXELS)
PAIRS = (
    (FROM_NOTHING, MOTION),
    (FROM_NOTHING + BY_MOTION, MOTION),
    (FROM_NOTHING, DEEP),
    (FROZEN, FROM_NOTHING),
    (INIT, DEEP),
)
PROBED: tuple[Name, ...] = (
    *(*ALONE, *PAIRS, *OTHERS),
    *(name + WHITE for name in ALONE),
    *((first + WHITE, second + WHITE) for first, second in PAIRS),
    *(name + WHITE for name in OTHERS),
)
SOUGHT: tuple[Name, ...] = (
    *(PUBLISHED, FROM_NOTHING, INIT, FROZEN),
    *((FROM_NOTHING, PUBLISHED), (INIT, FROM_NOTHING), (INIT, PUBLISHED)),
    *(PUBLISHED + WHITE, FROM_NOTHING + WHITE, (FROM_NOTHING + WHITE, PUBLISHED + WHITE)),
    PIXELS,
)


@dataclass
class Study:
    """Encoders by name and seed, and what they make of videos; all is kept in a folder."""

    folder: Path
    minutes: float
    power: float
    """Of whitening."""

    def encoder(self, name: str, seed: int) -> VideoEncoder:
        """One encoder; a run is trained unless it is there."""
        if name == PIXELS:
            config = load_config("tiny-cpu")
            return moments.Pixels(random_encoder(config).network, config)
        if name.endswith(RANDOM):
            return self.encoder(name.removesuffix(RANDOM), seed).untrained(seed)
        if name.endswith(BY_MOTION):
            return one_stream(self.encoder(name.removesuffix(BY_MOTION), seed), "motion")
        if name in FIXED:
            return load_encoder(f"{LITE}@{self.pooled(name)}" if name in POOLING else LITE)
        run = self.folder / f"{name} {seed}"
        if not (run / "metrics.json").exists():
            way = next(way for way in WAYS if way.name == name)
            pretrain_encoder(task_videos(), run, way.config(seed, self.minutes))
        return load_encoder(run)

    def pooled(self, name: str) -> Path:
        """The published encoder with another pooling."""
        out = self.folder / name.replace(" ", "-")
        if not out.exists():
            fetch_model(LITE, out, {"encoder": POOLING[name]})
        return out

    def embed(self, name: Name, seed: int, what: str, source: Corpus) -> Embeddings:
        """Embeddings of some videos; of two encoders, whose slices are the same spans, side by side."""
        if isinstance(name, tuple):
            first, second = (self.embed(one, seed, what, source) for one in name)
            joined = JoinedEncoder([self.encoder(one.removesuffix(WHITE), seed) for one in name], [1.0, 1.0])
            vectors = joined.join([first.vectors, second.vectors])
            mark = first.fingerprint + second.fingerprint
            return replace(first, vectors=vectors, fingerprint=mark, aspects=())
        if name.endswith(WHITE):
            plain = name.removesuffix(WHITE)
            everything = self.embed(plain, seed, "corpus", open_corpus(task_videos()))
            return whiten(self.embed(plain, seed, what, source), everything, self.power)
        if name.endswith(BY_MOTION):
            whole = self.embed(name.removesuffix(BY_MOTION), seed, what, source)
            motion = find_aspect("motion", whole.aspects, name).part(whole.vectors)
            return replace(whole, vectors=motion, fingerprint=whole.fingerprint + BY_MOTION, aspects=())
        kept = self.folder / f"{name} {0 if name in FIXED else seed}, {what}.parquet"
        if not kept.exists():
            write_embeddings(moments.directed(self.encoder(name, seed).embed(source)), kept)
        return read_embeddings(kept)


def whiten(embeddings: Embeddings, fitted_to: Embeddings, power: float) -> Embeddings:
    """Embeddings as the encoder gives them when it is whitened with these videos."""
    parts = []
    for span in embeddings.aspects or [Aspect("all", 0, embeddings.dim, 1.0)]:
        spectrum = fit_spectrum(span.part(fitted_to.vectors))
        assert spectrum is not None
        part = span.part(embeddings.vectors)
        moved = (part - spectrum.mean) @ spectrum.whitening(power) * part.any(1, keepdims=True)
        lengths = np.maximum(np.linalg.norm(moved, axis=1, keepdims=True), 1e-12)
        parts.append(np.float32(span.share**0.5) * moved / lengths)
    mark = f"{embeddings.fingerprint} whitened {power:g}"
    return replace(embeddings, vectors=np.concatenate(parts, axis=1), fingerprint=mark)


def probe_rows(study: Study, names: Sequence[Name], seeds: int, choose: bool) -> Iterator[str]:
    """Linear, kNN and R@1 of each encoder on each task: means over seeds; and the means of the tasks."""
    corpus = open_corpus(task_videos())
    for name in names:
        is_fixed = isinstance(name, str) and name.removesuffix(WHITE) in FIXED
        drawn = range(1 if is_fixed else seeds)
        scores = np.array([probe_tasks(study.embed(name, seed, "corpus", corpus), choose) for seed in drawn])
        cells = ["/".join(f"{value:.3f}" for value in task) for task in scores.mean(0)]
        means = scores.mean(1)
        for column in range(means.shape[1]):
            low, mean, high = means[:, column].min(), means[:, column].mean(), means[:, column].max()
            cells.append(f"{mean:.3f}" if len(drawn) == 1 else f"{mean:.3f} ({low:.3f} to {high:.3f})")
        yield "| " + " | ".join([said(name), *cells]) + " |"


def excerpt_rows(study: Study, excerpts: Sequence[Excerpt], what: str) -> Iterator[str]:
    """Excerpts found by each encoder; runs are those of seed 0."""
    corpus, planted = open_corpus(task_videos()), open_corpus([excerpt.path for excerpt in excerpts])
    for name in SOUGHT:
        embedded = study.embed(name, 0, what, planted)
        with tempfile.TemporaryDirectory() as scratch:
            library = moments.make_library(Path(scratch) / "library", study.embed(name, 0, "corpus", corpus))
            outcomes = [moments.search(library, embedded, excerpt) for excerpt in excerpts]
            copies = moments.duplicates(library, embedded, excerpts)
        yield from moments.rows(said(name), outcomes, copies)


def said(name: Name) -> str:
    """An encoder's name in the tables."""
    return name if isinstance(name, str) else " + ".join(name)


def main() -> None:
    """Train, embed, probe, search, write and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=4.0, help="training of each run, about")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument(
        "--runs", type=Path, help="keep runs and embeddings in this folder, and go on from there"
    )
    parser.add_argument(
        "--choose", action="store_true", help="training rows and excerpts that are for choosing"
    )
    parser.add_argument("--power", type=float, default=POWER, help="of whitening")
    parser.add_argument("--only", nargs="*", default=["probes", "excerpts"], choices=["probes", "excerpts"])
    names = {said(name): name for name in PROBED}
    parser.add_argument(
        "--rows", nargs="*", choices=names, metavar="ROW", help="of probes; other rows stay as they are"
    )
    arguments = parser.parse_args()
    facts = f"--seeds {arguments.seeds} --minutes {arguments.minutes:g}; {machine()}"
    end = "-choosing.md" if arguments.choose else ".md"
    with ExitStack() as stack:
        folder = arguments.runs or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        folder.mkdir(parents=True, exist_ok=True)
        study = Study(folder, arguments.minutes, arguments.power)
        if "probes" in arguments.only:
            wanted = [*names] if arguments.rows is None else arguments.rows
            rows = chain(
                probe_rows(study, [names[row] for row in wanted], arguments.seeds, arguments.choose),
                [] if arguments.rows is None else kept_rows(f"published-probes{end}", wanted),
            )
            rows_are = "folds of the training rows" if arguments.choose else "test rows"
            header = ["encoder", *TASKS, *(f"mean {name}" for name in ("linear", "kNN", "R@1"))]
            text = PROBES.format(facts=facts, rows=rows_are, power=arguments.power)
            write_table(f"published-probes{end}", "Probes of published encoders", text, header, rows)
        if "excerpts" in arguments.only:
            excerpts, what = moments.planted_excerpts(folder, choose=arguments.choose)
            header = ["", "excerpt", *moments.NUMBERS, "paired", "other pairs"]
            table = excerpt_rows(study, excerpts, what)
            text = EXCERPTS.format(facts=facts, what="choosing" if arguments.choose else "reporting")
            write_table(
                f"published-excerpts{end}", "Excerpts found by published encoders", text, header, table
            )


if __name__ == "__main__":
    main()
