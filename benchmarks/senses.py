"""What sight and sound say of spoken commands, alone and together: ``python -m benchmarks.senses``.

`grid`: one speaker says "bin blue at F two now"; the words are labels, which pretraining does not see. A
slice is a whole sentence, so that its embedding has to keep what is said.
"""

import argparse
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sora_video.configs.loader import load_config
from sora_video.configs.schema import PretrainConfig
from sora_video.downstream.features import video_features
from sora_video.downstream.heads import nearest_predict
from sora_video.downstream.pixels import pixel_features
from sora_video.downstream.probe import score_features
from sora_video.downstream.protocols import Split, balanced_accuracy, folds, read_split
from sora_video.pretrain.corpus import Corpus, open_corpus
from sora_video.pretrain.embed import load_encoder, random_encoder
from sora_video.pretrain.loop import pretrain_encoder

from .choices import inner
from .real import DATA, write_table

WORDS = ("command", "colour", "digit", "adverb")
FUSIONS = ("concat", "average", "weighted", "attention")
SENSES = {"both": None, "sight": "sight", "sound": "sound"}
RECIPE = [
    "encoder.name=sora_av",
    "slice.frames=12",
    "slice.fps=4",
    "slice.per_video=2",
    "optim.warmup_epochs=2",
]


def main() -> None:
    """Pretrain with every fusion, probe by every sense, write and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--fusions", nargs="*", default=list(FUSIONS))
    parser.add_argument("--within", action="store_true", help="score a fold of the training rows")
    parser.add_argument("overrides", nargs="*", help="settings, as in loss.cross=0")
    arguments = parser.parse_args()
    corpus = open_corpus(DATA / "grid" / "labels.csv")
    splits = {word: read_split(corpus, label=word) for word in WORDS}
    rows = table(corpus, splits, arguments)
    if arguments.within:
        for row in rows:
            print(row, flush=True)
    else:
        split, chance = splits["digit"], (f"{word} 1 in {len(one.classes)}" for word, one in splits.items())
        write_table(
            "senses.md",
            "Sight and sound",
            f"""`make bench-encoders`: sora_av on the {len(corpus)} sentences of grid, {arguments.epochs}
            epochs, seed 0; settings {" ".join(RECIPE)}. Balanced accuracy of linear probes on
            {len(split.test)} test sentences ({len(split.train)} to learn from); chance:
            {", ".join(chance)}. All senses of a fusion are aspects of the same trained encoder.""",
            ["features", "sense", *WORDS, "mean", "minutes"],
            rows,
        )


def table(corpus: Corpus, splits: dict[str, Split], arguments: argparse.Namespace) -> Iterator[str]:
    """Every fusion, trained and not, then raw pixels."""
    for fusion in arguments.fusions:
        config = load_config(
            "tiny-cpu",
            [
                *RECIPE,
                f"optim.epochs={arguments.epochs}",
                f"encoder.av.fusion={fusion}",
                *arguments.overrides,
            ],
        )
        for name, scored, minutes in fusion_scores(corpus, splits, config, arguments.within):
            yield line(f"{fusion}{name}", scored, minutes)
    pixels = pixel_features(corpus)
    for name, features in (("mean frame, 1-NN", pixels.mean_frame), ("motion map, 1-NN", pixels.motion_map)):
        found = {
            word: balanced_accuracy(split.labels[split.test], nearest_predict(features, split))
            for word, split in splits.items()
        }
        yield line(name + " | pixels", found, "")


def fusion_scores(
    corpus: Corpus, splits: dict[str, Split], config: PretrainConfig, within: bool
) -> Iterator[tuple[str, dict[str, float], str]]:
    """One fusion's scores by each sense, trained and untrained."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as scratch:
        run = pretrain_encoder([video.path for video in corpus.videos], Path(scratch) / "run", config)
        minutes = f"{(time.monotonic() - began) / 60:.1f}"
        for sense, by in SENSES.items():
            features, _ = video_features(load_encoder(run.path, by=by), corpus)
            yield f" | {sense}", words(features, splits, within), minutes
    for sense, by in SENSES.items():
        features, _ = video_features(random_encoder(config, draw=1, by=by), corpus)
        yield f", untrained | {sense}", words(features, splits, within), ""


def words(features: NDArray[np.float32], splits: dict[str, Split], within: bool) -> dict[str, float]:
    """Linear balanced accuracy for each word, on test rows or on a fold of the training rows."""
    found = {}
    for word, split in splits.items():
        part = inner(split, *folds(split)[0]) if within else split
        found[word] = score_features(features, part)[0].linear
    return found


def line(name: str, found: dict[str, float], minutes: str) -> str:
    """One row of the table."""
    cells = [
        name,
        *(f"{value:.3f}" for value in found.values()),
        f"{np.mean([*found.values()]):.3f}",
        minutes,
    ]
    return "| " + " | ".join(cells) + " |"


if __name__ == "__main__":
    main()
