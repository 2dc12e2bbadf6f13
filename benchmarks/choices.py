"""What each choice of the recipe is worth, judged on training rows alone: ``python -m benchmarks.choices``.

Each choice is pretrained on the same videos and changes the recipe `tiny-cpu` in one point; the scores are
means over group-safe folds of the training rows of each task, so that a default can be chosen without a look
at test rows. Choices with fewer slices of a video take more epochs, to see as many slices in all.
"""

import argparse
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from sora_video.configs.loader import load_config
from sora_video.downstream.probe.features import video_features
from sora_video.downstream.probe.labels import read_split
from sora_video.downstream.probe.quick import score_features
from sora_video.downstream.probe.split import Split
from sora_video.pretrain.encoders.frozen import VideoEncoder
from sora_video.pretrain.encoders.load import load_encoder
from sora_video.pretrain.training.loop import pretrain_encoder
from sora_video.pretrain.video.corpus import open_corpus

from .real import DATA, TASKS, task_videos, write_table

EPOCHS = 6
TWO = ["slice.per_video=2", "optim.epochs={twice}", "optim.batch_size=64"]
CHOICES: dict[str, list[str]] = {
    "the recipe": [],
    "temperature 0.1": ["loss.temperature=0.1"],
    "temperature 0.1, rho 2": ["loss.temperature=0.1", *TWO],
    "rho 2": [*TWO],
    "temperature 0.1, rho 2, moco": ["loss.temperature=0.1", *TWO, "method.name=moco"],
    "moco": ["method.name=moco"],
    "decreasing gap": ["slice.gap_power=1"],
    "gap up to 2 s": ["slice.max_gap_s=2"],
    "width 24": ["encoder.width=24"],
    "twice the epochs": ["optim.epochs={twice}"],
}


def main() -> None:
    """Pretrain with each choice, validate on every task, write and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    parser.add_argument("--only", nargs="*", default=list(CHOICES), help="names of choices")
    arguments = parser.parse_args()
    write_table(
        "choices.md",
        "Choices of the recipe, validated on training rows",
        f"""`make bench-choices`: the recipe `tiny-cpu` with {arguments.epochs} epochs, one pretraining seed;
        linear / kNN balanced accuracy, means over group-safe folds of the training rows.""",
        ["choice", *TASKS, "mean linear", "mean kNN", "minutes"],
        (row(name, arguments.epochs) for name in arguments.only),
    )


def row(name: str, epochs: int) -> str:
    """Pretrain with one choice and validate it on every task."""
    changes = [change.format(twice=2 * epochs) for change in CHOICES[name]]
    scores, minutes = pretrain_and_validate([f"optim.epochs={epochs}", *changes])
    cells = [f"{linear:.3f} / {knn:.3f}" for linear, knn in scores]
    linear, knn = np.mean(scores, axis=0)
    return f"| {name} | " + " | ".join(cells) + f" | {linear:.3f} | {knn:.3f} | {minutes:.1f} |"


def pretrain_and_validate(changes: list[str]) -> tuple[list[tuple[float, float]], float]:
    """Pretrain the recipe with changes; linear and kNN accuracy of each task, and the minutes it took."""
    config = load_config("tiny-cpu", changes)
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as scratch:
        run = pretrain_encoder(task_videos(), Path(scratch) / "run", config)
        minutes = (time.monotonic() - began) / 60
        encoder = load_encoder(run.path)
    return [validate(encoder, folder, split) for folder, split in TASKS.values()], minutes


def validate(encoder: VideoEncoder, folder: str, column: str) -> tuple[float, float]:
    """Linear and kNN balanced accuracy within the training rows of one task."""
    corpus = open_corpus(DATA / folder / "labels.csv")
    split = read_split(corpus, split=column)
    features, _ = video_features(encoder, corpus)
    scores = [score_features(features, inner(split, *pair))[0] for pair in split.pairs]
    return float(np.mean([one.linear for one in scores])), float(np.mean([one.knn for one in scores]))


def inner(split: Split, fit: np.ndarray, check: np.ndarray) -> Split:
    """One fold of the training rows as a split of its own."""
    return replace(split, train=split.train[fit], test=split.train[check])


if __name__ == "__main__":
    main()
