"""What each encoder learns in the same time, and what its parts are worth: ``python -m benchmarks.encoders``.

Encoders learn from the videos of two real data sets without labels and are probed on three tasks, always
beside themselves untrained. Nothing is chosen by these scores.
"""

import argparse
import tempfile
import time
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn

from sora_video.configs.loader import load_config
from sora_video.configs.schema import PretrainConfig
from sora_video.downstream.probe.features import video_features
from sora_video.downstream.probe.knn import nearest_predict
from sora_video.downstream.probe.labels import read_split
from sora_video.downstream.probe.metrics import balanced_accuracy
from sora_video.downstream.probe.pixels import pixel_features
from sora_video.downstream.probe.quick import Scores, score_features
from sora_video.pretrain.encoders.frozen import VideoEncoder, random_encoder
from sora_video.pretrain.encoders.load import load_encoder
from sora_video.pretrain.encoders.registry import Encoder, encoder_names
from sora_video.pretrain.encoders.streams import SliceFeatures
from sora_video.pretrain.training.loop import pretrain_encoder
from sora_video.pretrain.video.corpus import Corpus, open_corpus

from .real import DATA, TASKS, write_table
from .throughput import step_rate

CHOSEN = {name: TASKS[name] for name in ("handwash, by recording", "handwash, across sinks", "survfight")}
FOLDERS = sorted({folder for folder, _ in CHOSEN.values()})
BARE = ("encoder.input=residual", "encoder.look_every=1", "encoder.whiten=0", "loss.intra=none")
"""Of the recipe, what all networks have: one stream of differences, told from other videos alone."""
EQUAL = """`make bench-encoders`: the recipe `tiny-cpu` on the videos of handwash and survfight, for as many
epochs as measured training steps fill that time with; where that is less than one, on so many videos, drawn
at random, that one fills it; seed 0. Means over three tasks
(handwash by recording and across sinks, survfight) of balanced accuracy and R@1 on test rows. Untrained:
one draw of the weights. Shuffled: the trained encoder with the frames of every slice in an order of its
own, in training and test rows alike; what it loses is what time order is worth. The recipe's input is
differences of neighbouring frames, which shuffling also makes larger. Slices of a second every three
seconds are embedded."""
PARTS = """`make bench-encoders`: the recipe `tiny-cpu` on the videos of handwash and survfight, seed 0;
means over three tasks as in encoders-equal.md. One seed: differences of 0.02 are not told from noise."""
SCALES = {
    "3 and 5, all of it": [],
    "3 alone": ["encoder.scales.kernels=[3]"],
    "5 alone": ["encoder.scales.kernels=[5]"],
    "no recurrent network": ["encoder.scales.recurrent=false"],
    "no normalisation": ["encoder.scales.normalise=false"],
    "no transformation": ["encoder.scales.transform=false"],
}
TIMES = {
    "LSTM, softmax": [],
    "GRU": ["encoder.time.cell=gru"],
    "both ways": ["encoder.time.bidirectional=true"],
    "gates": ["encoder.time.attention=sigmoid"],
    "residual fusion": ["encoder.time.mix=true"],
}


def main() -> None:
    """Measure what is asked for, write and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="*", default=["equal", "parts"], choices=["equal", "parts"])
    parser.add_argument("--names", nargs="*", default=encoder_names(), help="encoders at equal cost")
    parser.add_argument("--seconds", type=float, default=30.0, help="training of each encoder at equal cost")
    parser.add_argument("--epochs", type=int, default=6, help="training of each choice of parts")
    arguments = parser.parse_args()
    if "equal" in arguments.only:
        header = ["encoder", "epochs", "clips seen", "minutes", *columns("", "untrained ", "shuffled ")]
        equal = (equal_row(name, arguments.seconds) for name in arguments.names)
        title = f"Encoders after {arguments.seconds:.0f} seconds of training steps each"
        write_table("encoders-equal.md", title, EQUAL, header, chain(equal, pixel_rows(header)))
    if "parts" in arguments.only:
        header = ["encoder", "choice", *columns("")]
        title = f"What the parts of the Sora encoders are worth after {arguments.epochs} epochs"
        parts = parts_rows(arguments.epochs)
        write_table("encoders-parts.md", title, PARTS, header, chain(parts, pixel_rows(header)))


def columns(*before: str) -> list[str]:
    """Names of three scores for each kind of features."""
    return [f"{kind}{name}" for kind in before for name in ("linear", "kNN", "R@1")]


def equal_row(name: str, seconds: float) -> str:
    """One encoder, trained for so long."""
    small = load_config("tiny-cpu", [f"encoder.name={name}", *BARE, "optim.batch_size=4"])
    videos = all_videos()
    passes = seconds * step_rate(small) / (len(videos) * small.slice.per_video)
    epochs = max(1, round(passes))
    if passes < 1:
        drawn = np.random.default_rng(0).permutation(len(videos))[: max(2, round(passes * len(videos)))]
        videos = [videos[number] for number in np.sort(drawn)]
    config = load_config("tiny-cpu", [f"encoder.name={name}", *BARE, *lasting(epochs)])
    encoder, minutes = train(config, videos)
    untrained = random_encoder(config, draw=1)
    cells = [name, str(epochs), str(epochs * len(videos) * small.slice.per_video), f"{minutes:.1f}"]
    cells += [f"{value:.3f}" for one in (encoder, untrained, shuffled(encoder)) for value in scores(one)]
    return "| " + " | ".join(cells) + " |"


def parts_rows(epochs: int) -> Iterator[str]:
    """Every choice of every part."""
    for name, choices in (("sora_multiscale", SCALES), ("sora", TIMES)):
        for choice, changes in choices.items():
            config = load_config("tiny-cpu", [f"encoder.name={name}", *BARE, *lasting(epochs), *changes])
            encoder, _ = train(config, all_videos())
            cells = [name, choice, *(f"{value:.3f}" for value in scores(encoder))]
            yield "| " + " | ".join(cells) + " |"


def pixel_rows(header: list[str]) -> Iterator[str]:
    """The nearest neighbour by raw pixels, means over the tasks in the column of kNN."""
    pixels = {folder: pixel_features(corpus_of(folder)) for folder in FOLDERS}
    for name in ("mean_frame", "motion_map"):
        found = []
        for folder, column in CHOSEN.values():
            split = read_split(corpus_of(folder), split=column)
            predicted = nearest_predict(getattr(pixels[folder], name), split)
            found.append(balanced_accuracy(split.labels[split.test], predicted))
        cells = dict.fromkeys(header, "")
        cells |= {"encoder": f"pixels: {name.replace('_', ' ')}, 1-NN", "kNN": f"{np.mean(found):.3f}"}
        yield "| " + " | ".join(cells.values()) + " |"


def lasting(epochs: int) -> list[str]:
    """Settings of a run of so many epochs, a tenth of them to warm up; embedded every three seconds."""
    return [f"optim.epochs={epochs}", f"optim.warmup_epochs={epochs / 10}", "slice.hop_s=3"]


def corpus_of(folder: str) -> Corpus:
    """A labelled data set."""
    return open_corpus(DATA / folder / "labels.csv")


def all_videos() -> list[Path]:
    """The videos of both data sets."""
    return [video.path for folder in FOLDERS for video in corpus_of(folder).videos]


def train(config: PretrainConfig, videos: list[Path]) -> tuple[VideoEncoder, float]:
    """Learn from videos; the encoder, and the minutes that it took with its decoding."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as scratch:
        run = pretrain_encoder(videos, Path(scratch) / "run", config)
        return load_encoder(run.path), (time.monotonic() - began) / 60


def scores(encoder: VideoEncoder) -> list[float]:
    """Linear, kNN and R@1, means over the tasks."""
    found: list[Scores] = []
    for folder in FOLDERS:
        corpus = corpus_of(folder)
        features, _ = video_features(encoder, corpus)
        splits = [split for where, split in CHOSEN.values() if where == folder]
        found += [score_features(features, read_split(corpus, split=split))[0] for split in splits]
    kinds = zip(*((one.linear, one.knn, one.recall["R@1"]) for one in found), strict=True)
    return [float(np.mean(values)) for values in kinds]


def shuffled(encoder: VideoEncoder) -> VideoEncoder:
    """The same encoder, shown the frames of each slice in an order of its own."""
    return VideoEncoder(cast(Encoder, Shuffled(encoder.network)), encoder.config)


class Shuffled(nn.Module):
    """A network that is shown the frames of each slice in random order."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network, self.aspect_names, self.spans = network, network.aspect_names, network.spans
        self.order = torch.Generator().manual_seed(0)

    def forward(self, clips: Tensor, _: Tensor, *sound: Tensor) -> SliceFeatures:
        """See the network; frames past a slice's end, which show its last, are mixed in."""
        order = torch.rand(len(clips), clips.shape[2], generator=self.order).argsort(1)
        mixed = clips.gather(2, order[:, None, :, None, None].expand_as(clips))
        found: SliceFeatures = self.network(mixed, None, *sound)
        return found


if __name__ == "__main__":
    main()
