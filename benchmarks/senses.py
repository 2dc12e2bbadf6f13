"""What sight and sound say of spoken commands, alone and together: ``python -m benchmarks.senses``.

`grid`: one speaker says "bin blue at F two now"; the words are labels, which pretraining does not see. A
slice is a whole sentence, so that its embedding has to keep what is said.
"""

import argparse
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sora_video.configs.loader import load_config
from sora_video.configs.schema import PretrainConfig
from sora_video.downstream.probe.features import video_features
from sora_video.downstream.probe.knn import nearest_predict
from sora_video.downstream.probe.labels import read_split
from sora_video.downstream.probe.linear import linear_probe_scores
from sora_video.downstream.probe.metrics import classification_metrics, draw_weights, interval
from sora_video.downstream.probe.pixels import pixel_features
from sora_video.downstream.probe.split import Split
from sora_video.pretrain.encoders.frozen import VideoEncoder, random_encoder
from sora_video.pretrain.encoders.load import load_encoder
from sora_video.pretrain.training.loop import pretrain_encoder
from sora_video.pretrain.video.corpus import Corpus, open_corpus

from .probes import inner
from .real import DATA, write_table

WORDS = ("command", "colour", "digit", "adverb")
FUSIONS = ("concat", "average", "weighted", "attention")
SENSES = {"both": None, "sight": "sight", "sound": "sound"}
RECIPE = [
    "encoder.name=sora_av",
    "encoder.av.visual=sora",
    "encoder.input=rgb",
    "encoder.look_every=1",
    "encoder.whiten=0",
    "loss.intra=none",
    "slice.frames=12",
    "slice.fps=4",
    "slice.per_video=2",
    "optim.warmup_epochs=2",
]
TEXT = """`make bench-encoders`: sora_av on the {count} sentences of grid, {epochs} epochs, seed 0; settings
{settings}. Pretraining saw all videos and no label; settings were chosen on the training rows.
Balanced accuracy of linear probes on {test} test sentences ({train} to learn from); chance: {chance}. All
senses of a fusion are aspects of the same trained encoder. Less sound: the mean's difference to that by sound
alone, with the 95 % interval of a paired bootstrap over the test rows."""

Values = NDArray[np.float64]
"""(1 + B,) balanced accuracy on the test rows, then on each resample of them."""


def main() -> None:
    """Pretrain with every fusion, probe by every sense, write and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=100)
    parser.add_argument("--fusions", nargs="*", default=list(FUSIONS))
    parser.add_argument("--within", action="store_true", help="score a fold of the training rows")
    parser.add_argument("--runs", type=Path, help="keep runs here, and use those that are finished")
    parser.add_argument("overrides", nargs="*", help="settings, as in loss.cross=0")
    arguments = parser.parse_args()
    corpus = open_corpus(DATA / "grid" / "labels.csv")
    splits = {word: read_split(corpus, label=word) for word in WORDS}
    if arguments.within:
        splits = {word: inner(split, *split.pairs[0]) for word, split in splits.items()}
    with tempfile.TemporaryDirectory() as scratch:
        rows = table(corpus, splits, arguments, arguments.runs or Path(scratch))
        if arguments.within:
            for row in rows:
                print(row, flush=True)
            return
        split = splits["digit"]
        text = TEXT.format(
            count=len(corpus),
            epochs=arguments.epochs,
            settings=" ".join([*RECIPE, *arguments.overrides]),
            test=len(split.test),
            train=len(split.train),
            chance=", ".join(f"{word} 1 in {len(one.classes)}" for word, one in splits.items()),
        )
        columns = ["features", "sense", *WORDS, "mean", "less sound"]
        write_table("senses.md", "Sight and sound", text, columns, rows)


def table(
    corpus: Corpus, splits: Mapping[str, Split], arguments: argparse.Namespace, runs: Path
) -> Iterator[str]:
    """Every fusion, trained and not, then raw pixels."""
    for fusion in arguments.fusions:
        settings = [*RECIPE, f"optim.epochs={arguments.epochs}", f"encoder.av.fusion={fusion}"]
        config = load_config("tiny-cpu", [*settings, *arguments.overrides])
        run = trained(corpus, config, runs / fusion)
        learnt = {sense: load_encoder(run, by=by) for sense, by in SENSES.items()}
        untrained = {sense: random_encoder(config, draw=1, by=by) for sense, by in SENSES.items()}
        for name, encoders in ((fusion, learnt), (f"{fusion}, untrained", untrained)):
            yield from sense_rows(name, encoders, corpus, splits)
    pixels = pixel_features(corpus)
    for name, features in (("mean frame, 1-NN", pixels.mean_frame), ("motion map, 1-NN", pixels.motion_map)):
        found = {
            word: accuracy(split, nearest_predict(features, split)[:, None] == np.array(split.classes))
            for word, split in splits.items()
        }
        yield line(name, "pixels", found)


def trained(corpus: Corpus, config: PretrainConfig, path: Path) -> Path:
    """A finished run at a path, made unless it is there; one of other settings is refused."""
    if not (path / "model.safetensors").exists():
        pretrain_encoder([video.path for video in corpus.videos], path, config)
    elif load_encoder(path).config != config:
        raise SystemExit(f"{path}: was trained with other settings; name another folder with --runs")
    return path


def sense_rows(
    name: str, encoders: Mapping[str, VideoEncoder], corpus: Corpus, splits: Mapping[str, Split]
) -> Iterator[str]:
    """One encoder, a row a sense."""
    found = {}
    for sense, encoder in encoders.items():
        features, _ = video_features(encoder, corpus)
        found[sense] = {
            word: accuracy(split, linear_probe_scores(features, split).scores)
            for word, split in splits.items()
        }
    for sense, values in found.items():
        yield line(name, sense, values, found["sound"] if sense == "both" else None)


def accuracy(split: Split, scores: NDArray[np.generic]) -> Values:
    """Of (n, C) scores of the test rows; resamples are the same for all splits of the same rows."""
    rows = len(split.test)
    drawn = draw_weights(np.arange(rows).astype(str))
    assert drawn is not None  # every row is a group of its own
    weights = np.vstack([np.ones(rows), drawn])
    targets = split.targets[split.test]
    return classification_metrics(targets, scores.astype(np.float64), False)["balanced"](weights)


def line(
    name: str, sense: str, found: Mapping[str, Values], sound: Mapping[str, Values] | None = None
) -> str:
    """One row of the table."""
    mean, gain = np.mean([*found.values()], axis=0), ""
    if sound:
        less = mean - np.mean([*sound.values()], axis=0)
        low, high = interval(less[1:])
        gain = f"{less[0]:+.3f} ({low:+.3f} to {high:+.3f})"
    numbers = [f"{values[0]:.3f}" for values in (*found.values(), mean)]
    return "| " + " | ".join([name, sense, *numbers, gain]) + " |"


if __name__ == "__main__":
    main()
