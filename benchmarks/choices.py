"""What each choice of the recipe is worth, in equal time: ``python -m benchmarks.choices``.

Each choice is pretrained on the same videos and changes the recipe `tiny-cpu`, or what it was before: one
stage of residual frames. That has ``--epochs``; a choice has as many as take the same time, by the rates of
both steps, which are measured in turns. Scores are means over group-safe folds of the training rows of each
task, and excerpts those of the videos that constants are chosen with, so that a default is chosen without a
look at what is reported. Videos and excerpts are transcoded to the size of slices first.
"""

import argparse
import json
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from sora_video.base.files import write_json
from sora_video.configs.loader import load_config
from sora_video.configs.schema import PretrainConfig
from sora_video.index.library import Library
from sora_video.pretrain.encoders.embeddings import Embeddings, read_embeddings, write_embeddings
from sora_video.pretrain.encoders.frozen import VideoEncoder, random_encoder
from sora_video.pretrain.encoders.load import load_encoder
from sora_video.pretrain.training.loop import pretrain_encoder
from sora_video.pretrain.video.corpus import Corpus, open_corpus
from sora_video.pretrain.video.prepare import prepare_corpus

from . import moments
from .costs import machine
from .excerpts import KINDS, Excerpt
from .probes import probe_tasks
from .published import whiten
from .real import RESULTS, TASKS, kept_rows, task_videos, write_table
from .throughput import step_rate

BEFORE, STREAMS, RECIPE = "one stage of residual frames", "look and motion, stages in cells", "the recipe"
ALONE = ("loss.intra=none",)
PLAIN = (
    "encoder.input=residual",
    "encoder.look_every=1",
    "encoder.depths=[]",
    "encoder.cells=1",
    "encoder.whiten=0",
    "loss.intra=none",
)
"""The settings of the recipe, before what was chosen here."""
COPIES = ("augment.compress=0.5", "augment.overlay=0.2", "augment.border=0.2")
CHOICES: dict[str, Sequence[str]] = {
    BEFORE: PLAIN,
    "rgb": (*PLAIN, "encoder.input=rgb"),
    "look and motion": (*PLAIN, "encoder.input=both"),
    "16 frames": (*PLAIN, "slice.frames=16", "slice.fps=16"),
    "shuffled negatives": (*PLAIN, "loss.intra=shuffle"),
    "reversed negatives": (*PLAIN, "loss.intra=reverse"),
    "rate and order": (
        *PLAIN,
        "augment.playback=4",
        "augment.reverse=0.5",
        "tasks.rate.weight=0.3",
        "tasks.order.weight=0.3",
    ),
    "temporal contrast": (*PLAIN, "slice.views=2", "slice.per_video=2", "tasks.local.weight=0.3"),
    "tubelets": (*PLAIN, "augment.tubelet=0.5"),
    "local views": (*PLAIN, "augment.local_views=4", "augment.local_frames=4"),
    "copies": (*PLAIN, *COPIES),
    "vicreg": (*PLAIN, "method.name=vicreg", "loss.projection_dim=512"),
    "sigreg": (*PLAIN, "method.name=sigreg"),
    "false and hard negatives": (*PLAIN, "method.negatives.ignore=0.05", "method.negatives.hardness=0.5"),
    "whitened": (*PLAIN, "encoder.whiten=0.4"),
    "stages": (*PLAIN, "encoder.depths=[1,2,3,4]"),
    "stages in cells": (*PLAIN, "encoder.depths=[2,3,4]", "encoder.cells=2"),
    STREAMS: ALONE,
    f"{STREAMS}, not whitened": (*ALONE, "encoder.whiten=0"),
    f"{STREAMS}, whitened more": (*ALONE, "encoder.whiten=0.7"),
    f"{STREAMS}, all frames": (*ALONE, "encoder.look_every=1"),
    f"{STREAMS}, copies": (*ALONE, *COPIES),
    f"{STREAMS}, reversed negatives": ("loss.intra=reverse",),
    f"{STREAMS}, temperature 0.1": (*ALONE, "loss.temperature=0.1"),
    RECIPE: (),
    f"{RECIPE}, shuffled or reversed negatives": ("loss.intra=either",),
    f"{RECIPE}, copies": COPIES,
    f"{RECIPE}, temperature 0.1": ("loss.temperature=0.1",),
}
UNTRAINED, PIXELS, WHITEN = "untrained", "pixels", "encoder.whiten="
VIDEOS, EXCERPTS, SOUGHT, EPOCHS = "videos", "excerpts", 50, "epochs"
"""What is embedded; and of how many videos excerpts are searched for."""
WAYS = ("", ", by look", ", by motion", ", agreeing")
"""In which the embeddings of two streams are compared."""
TEXT = """`make bench-choices`: {facts}; {epochs} epochs of `tiny-cpu` with one stage of residual frames,
which it had before, and of each choice as many as take the same time, by the rates of both steps, in turns;
means over seeds (least to greatest).
Linear / kNN: balanced accuracy, means over group-safe folds of the training rows. R@1: excerpts found
first, of {sought} of the videos that constants are chosen with; the worst kind of change; sure: the first hit
is said to be where the excerpt comes from; absent: the same with its video left out. The recipe is whitened,
for which it embeds all videos once more; untrained: of the recipe, whitened as well."""


@dataclass(frozen=True)
class Scores:
    """What an encoder is worth, by one way to compare its embeddings."""

    tasks: Sequence[tuple[float, float]]
    """Linear and kNN of each task; none where aspects are to agree, which is a question of search."""
    found: tuple[float, float, float, float]
    """R@1 of excerpts, that of the worst kind, sure and sure with the video absent."""


@dataclass(frozen=True)
class Study:
    """Runs of each choice and seed, kept in a folder."""

    folder: Path
    epochs: int
    is_done: bool
    """Whether nothing is measured any more."""

    @cached_property
    def excerpts(self) -> list[Excerpt]:
        """Of videos that constants are chosen with."""
        return moments.planted_excerpts(self.folder, choose=True)[0][: SOUGHT * len(KINDS)]

    def corpus(self, what: str) -> Corpus:
        """Small copies of all videos, or of the excerpts, made unless they are there."""
        folder = self.folder / what
        if not folder.exists():
            source = task_videos() if what == VIDEOS else [excerpt.path for excerpt in self.excerpts]
            fastest = max(load_config("tiny-cpu", settings).slice.fps for settings in CHOICES.values())
            prepare_corpus(source, folder, size=load_config("tiny-cpu").slice.size, fps=fastest)
        return open_corpus(folder)

    def encoder(self, name: str, seed: int) -> VideoEncoder:
        """The encoder of one choice and seed, before it is whitened; a run is trained unless it is there."""
        recipe = load_config("tiny-cpu")
        if name == UNTRAINED:
            return random_encoder(recipe, draw=seed)
        if name == PIXELS:
            return moments.Pixels(random_encoder(recipe).network, recipe)
        run = self.folder / f"{name} {seed}"
        if not (run / "metrics.json").exists():
            pretrain_encoder(self.corpus(VIDEOS), run, self.config(name, seed))
        return load_encoder(run)

    def config(self, name: str, seed: int) -> PretrainConfig:
        """The settings of one choice, with as many epochs as take the recipe's time."""
        epochs = self.lengths([name])[name]
        settings = [f"seed={seed}", f"optim.epochs={epochs}", f"optim.warmup_epochs={epochs / 10}"]
        return load_config("tiny-cpu", [*CHOICES[name], *settings, f"{WHITEN}0"])

    def embed(self, name: str, seed: int, what: str) -> Embeddings:
        """What one choice and seed makes of all videos, or of the excerpts, before it is whitened."""
        kept = self.folder / f"{name} {seed}, {what}.parquet"
        if not kept.exists():
            found = self.encoder(name, seed).embed(self.corpus(what))
            write_embeddings(moments.directed(found), kept)
        return read_embeddings(kept)

    def has(self, name: str, seed: int) -> bool:
        """Whether the scores of one choice and seed are there, or are to be measured."""
        return not self.is_done or (self.folder / f"{name} {seed}.json").exists()

    def scores(self, name: str, seed: int) -> dict[str, Scores]:
        """The scores of one choice and seed, measured unless they are there."""
        path = self.folder / f"{name} {seed}.json"
        if not path.exists():
            videos, excerpts = (self.embed(trained_as(name), seed, what) for what in (VIDEOS, EXCERPTS))
            if power := power_of(name):
                videos, excerpts = (whiten(one, videos, power) for one in (videos, excerpts))
            measured = measure(videos, excerpts, self.excerpts)
            write_json(path, {way: asdict(scores) for way, scores in measured.items()})
        return {way: Scores(**scores) for way, scores in json.loads(path.read_text()).items()}

    def lengths(self, names: Sequence[str]) -> dict[str, int]:
        """The epochs of choices that take the recipe's time, by rates that are measured once, in turns."""
        path = self.folder / f"{EPOCHS}.json"
        known = json.loads(path.read_text()) if path.exists() else {BEFORE: self.epochs}
        before = load_config("tiny-cpu", PLAIN)
        for name in map(trained_as, names):
            if name in CHOICES and name not in known:
                chosen = load_config("tiny-cpu", CHOICES[name])
                rates = np.array([(epoch_rate(before), epoch_rate(chosen)) for _ in range(2)]).max(0)
                known[name] = max(2, round(self.epochs * float(rates[1] / rates[0])))
        write_json(path, known)
        return {name: known[trained_as(name)] for name in names if name in CHOICES}


def trained_as(name: str) -> str:
    """The first choice whose training is the same, which whitening does not change."""

    def training(settings: Sequence[str]) -> list[str]:
        return [setting for setting in settings if not setting.startswith(WHITEN)]

    same = [one for one in CHOICES if name in CHOICES and training(CHOICES[one]) == training(CHOICES[name])]
    return same[0] if same else name


def power_of(name: str) -> float:
    """To which power the features of a choice are whitened; untrained ones as the recipe's."""
    if name == PIXELS:
        return 0.0
    return load_config("tiny-cpu", CHOICES.get(name, ())).encoder.whiten


def epoch_rate(config: PretrainConfig) -> float:
    """Videos a second of a training step in memory."""
    return step_rate(config) / config.slice.per_video


def main() -> None:
    """Pretrain with each choice, validate on every task, write and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=5, help="of one stage of residual frames")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--runs", type=Path, help="keep runs in this folder, and go on from there")
    names = [*CHOICES, UNTRAINED, PIXELS]
    parser.add_argument(
        "--only",
        nargs="*",
        default=names,
        choices=names,
        metavar="CHOICE",
        help="other rows stay as they are",
    )
    parser.add_argument("--resume", action="store_true", help="take the scores that choices.json has")
    parser.add_argument("--table", action="store_true", help="of the scores that are there; measure nothing")
    arguments = parser.parse_args()
    with ExitStack() as stack:
        folder = arguments.runs or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        folder.mkdir(parents=True, exist_ok=True)
        if arguments.resume or arguments.table:
            restore(folder)
        study = Study(folder, arguments.epochs, arguments.table)
        measured = {name + way for name in arguments.only for way in WAYS}
        if not study.is_done:
            print(study.lengths(arguments.only), flush=True)
        write_table(
            "choices.md",
            "Choices of the recipe, in equal time",
            TEXT.format(facts=machine(), epochs=arguments.epochs, sought=SOUGHT),
            [
                "choice",
                "epochs",
                "seeds",
                *TASKS,
                "mean linear",
                "mean kNN",
                "R@1",
                "worst kind",
                "sure",
                "absent",
            ],
            chain(rows(study, arguments.only, arguments.seeds), kept_rows("choices.md", measured)),
        )
        keep(folder, {} if arguments.only == names else known_scores())


def keep(folder: Path, others: Mapping[str, Any]) -> None:
    """Write what was measured in a folder of runs to the results, beside other scores."""
    measured = {path.stem: json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))}
    epochs = {**others.get(EPOCHS, {}), **measured[EPOCHS]}
    write_json(RESULTS / "choices.json", {**others, **measured, EPOCHS: epochs})


def known_scores() -> dict[str, Any]:
    """What the results have: scores by choice and seed, and the epochs of all choices."""
    known: dict[str, Any] = json.loads((RESULTS / "choices.json").read_text())
    return known


def restore(folder: Path) -> None:
    """Write to a folder of runs what the results have, and the folder lacks."""
    for name, values in known_scores().items():
        if not (folder / f"{name}.json").exists():
            write_json(folder / f"{name}.json", values)


def rows(study: Study, names: Sequence[str], seeds: int) -> Iterator[str]:
    """A row of each choice and way to compare its embeddings: means over seeds."""
    for name in names:
        drawn = range(1 if name == PIXELS else seeds)
        seen = [study.scores(name, seed) for seed in drawn if study.has(name, seed)]
        if not seen:
            continue
        epochs = str(study.lengths([name]).get(name, ""))
        for way in seen[0]:
            tasks = np.array([scores[way].tasks for scores in seen])
            cells = (
                ["/".join(f"{value:.3f}" for value in task) for task in tasks.mean(0)] if tasks.size else []
            )
            means = [said(values) for values in tasks.mean(1).T] if tasks.size else []
            found = [said(values) for values in np.array([scores[way].found for scores in seen]).T]
            cells = [*(cells or [""] * len(TASKS)), *(means or ["", ""]), *found]
            yield "| " + " | ".join([name + way, epochs, str(len(seen)), *cells]) + " |"


def said(values: np.ndarray) -> str:
    """A mean over seeds, with its range where there are several."""
    mean = f"{values.mean():.3f}"
    return mean if len(values) == 1 else f"{mean} ({values.min():.3f} to {values.max():.3f})"


def measure(videos: Embeddings, embedded: Embeddings, excerpts: Sequence[Excerpt]) -> dict[str, Scores]:
    """Scores of embeddings of all videos and of excerpts, by each way to compare them."""
    with tempfile.TemporaryDirectory() as scratch:
        library = moments.make_library(Path(scratch) / "library", videos)
        return {
            way.name: Scores(
                [] if way.agree else tasks_by(videos, way.by),
                excerpts_by(library, embedded, excerpts, way),
            )
            for way in moments.ways_of(library)
        }


def tasks_by(embeddings: Embeddings, by: str | None) -> list[tuple[float, float]]:
    """Linear and kNN of each task."""
    seen = embeddings.alone(by) if by else embeddings
    return [(linear, knn) for linear, knn, _ in probe_tasks(seen, choose=True)]


def excerpts_by(
    library: Library, embedded: Embeddings, excerpts: Sequence[Excerpt], way: moments.Way
) -> tuple[float, float, float, float]:
    """R@1, that of the worst kind, sure and sure with the video absent."""
    found = [moments.find(library, embedded, excerpt, way) for excerpt in excerpts]
    first = np.array([hits[0].video_id for _, hits, _ in found]) == [one.video_id for one in excerpts]
    kinds = np.array([excerpt.kind for excerpt in excerpts])
    return (
        float(first.mean()),
        float(min(first[kinds == kind].mean() for kind in KINDS)),
        float(np.mean([hits[0].sure for _, hits, _ in found])),
        float(np.mean([absent.sure for *_, absent in found])),
    )


if __name__ == "__main__":
    main()
