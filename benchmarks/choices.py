"""What each choice of the recipe is worth, in equal time: ``python -m benchmarks.choices``.

Each choice is pretrained on the same videos and changes the recipe `tiny-cpu`. The recipe has ``--epochs``; a
choice has as many as take the same time, by the rates of both steps, which are measured in turns. Scores are
means over group-safe folds of the training rows of each task, and excerpts those of the videos that constants
are chosen with, so that a default is chosen without a look at what is reported.
"""

import argparse
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sora_video.configs.loader import load_config
from sora_video.configs.schema import PretrainConfig
from sora_video.pretrain.encoders.frozen import VideoEncoder, random_encoder
from sora_video.pretrain.encoders.load import load_encoder
from sora_video.pretrain.training.loop import pretrain_encoder
from sora_video.pretrain.video.corpus import open_corpus

from . import moments
from .costs import machine
from .excerpts import KINDS, Excerpt
from .probes import probe_tasks
from .real import TASKS, task_videos, write_table
from .throughput import step_rate

RECIPE = "the recipe"
CHOICES: dict[str, Sequence[str]] = {
    RECIPE: (),
    "temperature 0.1": ("loss.temperature=0.1",),
    "rho 2": ("slice.per_video=2", "optim.batch_size=64"),
    "moco": ("method.name=moco",),
    "width 24": ("encoder.width=24",),
    "rgb": ("encoder.input=rgb",),
    "look and motion": ("encoder.input=both",),
    "16 frames": ("slice.frames=16", "slice.fps=16"),
    "shuffled negatives": ("loss.intra=shuffle",),
    "reversed negatives": ("loss.intra=reverse",),
    "rate and order": (
        "augment.playback=4",
        "augment.reverse=0.5",
        "tasks.rate.weight=0.3",
        "tasks.order.weight=0.3",
    ),
    "faster slices": ("augment.playback=2",),
    "temporal contrast": ("slice.views=2", "slice.per_video=2", "tasks.local.weight=0.3"),
    "tubelets": ("augment.tubelet=0.5",),
    "local views": ("augment.local_views=4", "augment.local_frames=4"),
    "copies": ("augment.compress=0.5", "augment.overlay=0.2", "augment.border=0.2"),
    "vicreg": ("method.name=vicreg", "loss.projection_dim=512"),
    "sigreg": ("method.name=sigreg",),
    "false negatives": ("method.negatives.ignore=0.05",),
    "false and hard negatives": ("method.negatives.ignore=0.05", "method.negatives.hardness=0.5"),
}
UNTRAINED, PIXELS = "untrained", "pixels"
TEXT = """`make bench-choices`: {facts}; {epochs} epochs of the recipe `tiny-cpu`, and of each choice as
many as take the same time, by the rates of both steps in this run; {seeds} seeds, means (least to greatest).
Linear / kNN: balanced accuracy, means over group-safe folds of the training rows. R@1: excerpts found first,
of the videos that constants are chosen with; the worst kind of change; sure: the first hit is said to be
where the excerpt comes from; absent: the same with its video left out. Untrained: of the recipe."""


@dataclass(frozen=True)
class Study:
    """Runs of each choice and seed, kept in a folder."""

    folder: Path
    epochs: int

    def encoder(self, name: str, seed: int) -> VideoEncoder:
        """The encoder of one choice and seed; a run is trained unless it is there."""
        recipe = load_config("tiny-cpu")
        if name == UNTRAINED:
            return random_encoder(recipe, draw=seed)
        if name == PIXELS:
            return moments.Pixels(random_encoder(recipe).network, recipe)
        run = self.folder / f"{name} {seed}"
        if not (run / "metrics.json").exists():
            pretrain_encoder(task_videos(), run, self.config(name, seed))
        return load_encoder(run)

    def config(self, name: str, seed: int) -> PretrainConfig:
        """The settings of one choice, with as many epochs as take the recipe's time."""
        recipe, chosen = load_config("tiny-cpu"), load_config("tiny-cpu", CHOICES[name])
        epochs = self.epochs
        if name != RECIPE:
            rates = np.array([(epoch_rate(recipe), epoch_rate(chosen)) for _ in range(2)]).max(0)
            epochs = max(2, round(self.epochs * float(rates[1] / rates[0])))
        settings = [f"seed={seed}", f"optim.epochs={epochs}", f"optim.warmup_epochs={epochs / 10}"]
        return load_config("tiny-cpu", [*CHOICES[name], *settings])

    def epochs_of(self, name: str, seeds: int) -> str:
        """The epochs that the runs of a choice had."""
        runs = (self.folder / f"{name} {seed}" for seed in range(seeds))
        return ", ".join(map(str, sorted({load_encoder(run).config.optim.epochs for run in runs})))


def epoch_rate(config: PretrainConfig) -> float:
    """Videos a second of a training step in memory."""
    return step_rate(config) / config.slice.per_video


def main() -> None:
    """Pretrain with each choice, validate on every task, write and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=20, help="of the recipe")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--runs", type=Path, help="keep runs in this folder, and go on from there")
    names = [*CHOICES, UNTRAINED, PIXELS]
    parser.add_argument("--only", nargs="*", default=names, choices=names, metavar="CHOICE")
    arguments = parser.parse_args()
    with ExitStack() as stack:
        folder = arguments.runs or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        folder.mkdir(parents=True, exist_ok=True)
        excerpts, _ = moments.planted_excerpts(folder, choose=True)
        study = Study(folder, arguments.epochs)
        write_table(
            "choices.md",
            "Choices of the recipe, in equal time",
            TEXT.format(facts=machine(), epochs=arguments.epochs, seeds=arguments.seeds),
            ["choice", "epochs", *TASKS, "mean linear", "mean kNN", "R@1", "worst kind", "sure", "absent"],
            rows(study, arguments.only, arguments.seeds, excerpts),
        )


def rows(study: Study, names: Sequence[str], seeds: int, excerpts: Sequence[Excerpt]) -> Iterator[str]:
    """A row of each choice: means over seeds."""
    for name in names:
        drawn = 1 if name == PIXELS else seeds
        seen = [measure(study.encoder(name, seed), excerpts) for seed in range(drawn)]
        tasks = np.array([scores for scores, _ in seen])
        cells = ["/".join(f"{value:.3f}" for value in task) for task in tasks.mean(0)]
        columns = [*tasks.mean(1).T, *np.array([found for _, found in seen]).T]
        cells += [said(values) for values in columns]
        epochs = "" if name in (UNTRAINED, PIXELS) else study.epochs_of(name, seeds)
        yield "| " + " | ".join([name, epochs, *cells]) + " |"


def said(values: np.ndarray) -> str:
    """A mean over seeds, with its range where there are several."""
    mean = f"{values.mean():.3f}"
    return mean if len(values) == 1 else f"{mean} ({values.min():.3f} to {values.max():.3f})"


def measure(
    encoder: VideoEncoder, excerpts: Sequence[Excerpt]
) -> tuple[list[tuple[float, float]], tuple[float, float, float, float]]:
    """Linear and kNN of each task; R@1, that of the worst kind, sure and sure with the video absent."""
    corpus, planted = open_corpus(task_videos()), open_corpus([excerpt.path for excerpt in excerpts])
    embeddings = moments.directed(encoder.embed(corpus))
    embedded = moments.directed(encoder.embed(planted))
    with tempfile.TemporaryDirectory() as scratch:
        library = moments.make_library(Path(scratch) / "library", embeddings)
        outcomes = [moments.search(library, embedded, excerpt) for excerpt in excerpts]
    first = {kind: np.mean([one.rank == 1 for one in outcomes if one.kind == kind]) for kind in KINDS}
    found = (
        float(np.mean([one.rank == 1 for one in outcomes])),
        float(min(first.values())),
        float(np.mean([one.sure for one in outcomes])),
        float(np.mean([one.wrongly_sure for one in outcomes])),
    )
    tasks = [(linear, knn) for linear, knn, _ in probe_tasks(embeddings, choose=True)]
    return tasks, found


if __name__ == "__main__":
    main()
