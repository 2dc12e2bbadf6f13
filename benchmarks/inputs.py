"""What the input stream is worth, judged on training rows alone: ``python -m benchmarks.inputs``.

Each stream is pretrained alike on the same videos; the scores are means over group-safe folds of the training
rows of each task, so that a default can be chosen without a look at test rows.
"""

import argparse
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np

from sora_video.configs.loader import load_config
from sora_video.configs.storage import write_text
from sora_video.downstream.features import video_features
from sora_video.downstream.probe import score_features
from sora_video.downstream.protocols import Split, folds, read_split
from sora_video.pretrain.corpus import open_corpus
from sora_video.pretrain.embed import VideoEncoder, load_encoder
from sora_video.pretrain.loop import pretrain_encoder

from .real import DATA, RESULTS, TASKS, task_videos


def main() -> None:
    """Pretrain with each stream, validate on every task, write and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("overrides", nargs="*", default=["optim.epochs=10"], help="as in optim.epochs=10")
    overrides = parser.parse_args().overrides
    lines = [
        "# Input streams, validated on training rows",
        "",
        f"`make bench-inputs`: the recipe `tiny-cpu` with {' '.join(overrides)};",
        "linear / kNN balanced accuracy, means over group-safe folds of the training rows.",
        "",
        "| input | " + " | ".join(TASKS) + " |",
        "|---" * (len(TASKS) + 1) + "|",
    ]
    for stream in ("rgb", "residual", "both"):
        config = load_config("tiny-cpu", [*overrides, f"encoder.input={stream}"])
        with tempfile.TemporaryDirectory() as scratch:
            run = pretrain_encoder(task_videos(), Path(scratch) / "run", config)
            encoder = load_encoder(run.path)
        cells = [validate(encoder, folder, split) for folder, split in TASKS.values()]
        lines.append(f"| {stream} | " + " | ".join(cells) + " |")
        print(lines[-1], flush=True)
    write_text(RESULTS / "inputs.md", "\n".join(lines) + "\n")


def validate(encoder: VideoEncoder, folder: str, column: str) -> str:
    """Linear and kNN balanced accuracy within the training rows of one task."""
    corpus = open_corpus(DATA / folder / "labels.csv")
    split = read_split(corpus, split=column)
    features, _ = video_features(encoder, corpus)
    scores = [score_features(features, inner(split, *pair))[0] for pair in folds(split)]
    return " / ".join(f"{np.mean([getattr(one, name) for one in scores]):.3f}" for name in ("linear", "knn"))


def inner(split: Split, fit: np.ndarray, check: np.ndarray) -> Split:
    """One fold of the training rows as a split of its own."""
    return replace(split, train=split.train[fit], test=split.train[check])


if __name__ == "__main__":
    main()
