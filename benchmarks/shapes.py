"""What keeping the aspect of films is worth, judged on training rows alone: ``python -m benchmarks.shapes``.

The recipe `tiny-cpu` is pretrained with each way of making squares of frames, in turns over the seeds; the
scores are means over group-safe folds of the training rows of each task.
"""

import argparse
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from sora_video.configs.loader import load_config
from sora_video.pretrain.encoders.load import load_encoder
from sora_video.pretrain.training.loop import pretrain_encoder
from sora_video.pretrain.video.corpus import open_corpus

from .probes import probe_tasks
from .real import TASKS, task_videos, write_table

SHAPES = {
    "stretched to the square": "slice.resize=null",
    "short side 64, middle cut out": "slice.resize=64",
}
EPOCHS = 3


def main() -> None:
    """Pretrain with each shape, validate on every task, write and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    arguments = parser.parse_args()
    write_table(
        "shapes.md",
        "Shapes of the picture, validated on training rows",
        f"""`python -m benchmarks.shapes`: the recipe `tiny-cpu` with {arguments.epochs} epochs; linear / kNN
        balanced accuracy, means over group-safe folds of the training rows. Films here are 1.3 to 2 times as
        wide as high.""",
        ["shape", "seed", *TASKS, "mean linear", "mean kNN"],
        rows(arguments.epochs, arguments.seeds),
    )


def rows(epochs: int, seeds: list[int]) -> Iterator[str]:
    """A row for each seed and shape, and the means of each shape."""
    scores: dict[str, list[list[tuple[float, float]]]] = {name: [] for name in SHAPES}
    for seed in seeds:
        for name, shape in SHAPES.items():
            tasks = pretrain_and_validate([f"optim.epochs={epochs}", f"seed={seed}", shape])
            scores[name].append(tasks)
            yield row(name, str(seed), np.array(tasks))
    for name, values in scores.items():
        yield row(f"**{name}**", "mean", np.mean(values, axis=0))


def pretrain_and_validate(changes: list[str]) -> list[tuple[float, float]]:
    """Linear and kNN of each task, of the recipe with some changes."""
    with tempfile.TemporaryDirectory() as scratch:
        run = pretrain_encoder(task_videos(), Path(scratch) / "run", load_config("tiny-cpu", changes))
        embeddings = load_encoder(run.path).embed(open_corpus(task_videos()))
    return [(linear, knn) for linear, knn, _ in probe_tasks(embeddings, choose=True)]


def row(name: str, seed: str, scores: np.ndarray) -> str:
    """One line of the table; (tasks, 2) scores."""
    cells = [f"{linear:.3f} / {knn:.3f}" for linear, knn in [*scores]]
    linear, knn = scores.mean(axis=0)
    return f"| {name} | {seed} | " + " | ".join(cells) + f" | {linear:.3f} | {knn:.3f} |"


if __name__ == "__main__":
    main()
