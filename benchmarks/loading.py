"""What the training loader delivers beside the bare decoder that reads the same frames.

``python -m benchmarks.loading``: both in two processes, in turns in one run; the best of each is compared.
"""

import argparse
import os
import platform
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from itertools import islice
from multiprocessing import get_context
from pathlib import Path

import decord
import numpy as np

from sora_video.base.randomness import generator
from sora_video.configs.loader import load_config
from sora_video.configs.schema import PretrainConfig
from sora_video.pretrain.training.loader import train_loader
from sora_video.pretrain.training.sampler import EpochSampler
from sora_video.pretrain.video.cache import FrameCache
from sora_video.pretrain.video.corpus import Corpus, open_corpus
from sora_video.pretrain.video.decode import open_video
from sora_video.pretrain.video.prepare import prepare_corpus
from sora_video.pretrain.video.read import picture_of
from sora_video.pretrain.video.slices import cell_times, draw_starts, frames_at

from .real import DATA, write_table

__all__ = ["in_turns", "line", "settings"]

SLICES = 128
"""Slices of a batch."""
SIZE = 64
Request = tuple[Path, np.ndarray]


def main() -> None:
    """Measure raw and prepared video, print and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--batches", type=int, default=24)
    arguments = parser.parse_args()
    labels = DATA / "wagon" / "labels.csv"
    with tempfile.TemporaryDirectory() as scratch:
        prepare_corpus(labels, Path(scratch) / "prepared", size=SIZE, fps=16)
        corpora = {
            "raw": open_corpus(labels),
            "prepared": open_corpus(Path(scratch) / "prepared" / "manifest.csv"),
        }
        write_table(
            "loading.md",
            "The loader beside the bare decoder",
            f"""`make bench-pretrain`: slices a second of 8 frames at 64 px of the wagon videos, without the
            frame cache, in two processes; best of {arguments.rounds} rounds; {os.cpu_count()} cores,
            {platform.machine()}. The bare decoder is decord reading the same frames and nothing else.""",
            ["what", "first", "second", "ratio"],
            (
                row
                for name, corpus in corpora.items()
                for row in loading(f"{name} video", corpus, arguments.rounds, arguments.batches)
            ),
        )


def settings(*overrides: str) -> PretrainConfig:
    """The recipe that is measured: 16-wide R3D, 8 frames at 64 px, two readers, without the frame cache."""
    return load_config(
        "tiny-cpu", ["data.workers=2", "data.cache_gb=0", f"slice.size={SIZE}", "optim.epochs=20", *overrides]
    )


def in_turns(rounds: int, *ways: Callable[[], float]) -> list[float]:
    """The best rate of each way, measured in turns."""
    rates = [[way() for way in ways] for _ in range(rounds)]
    return [max(column) for column in zip(*rates, strict=True)]


def line(what: str, ours: float, other: float) -> str:
    """One row of the table."""
    return f"| {what} | {ours:.0f} | {other:.0f} | {ours / other:.2f} |"


def loading(name: str, corpus: Corpus, rounds: int, batches: int) -> Iterator[str]:
    """The loader beside the bare decoder, with 2 and with 4 slices a video."""
    delivered = {}
    for slices in (2, 4):
        config = settings(f"slice.per_video={slices}", f"optim.batch_size={SLICES // slices}")
        asked = requests(corpus, config, batches * SLICES // slices)
        ours, bare = compare(corpus, config, asked, rounds, batches)
        delivered[slices] = ours
        yield line(f"{name}, {slices} slices a video: loader / bare decoder, slices a second", ours, bare)
    yield line(f"{name}: 4 / 2 slices a video, slices a second", delivered[4], delivered[2])


def compare(
    corpus: Corpus, config: PretrainConfig, asked: list[Request], rounds: int, batches: int
) -> list[float]:
    """Slices a second of the loader and of the bare decoder, each in two processes."""
    slices = config.slice.per_video
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        bare_rate(asked[:32], slices, pool)  # the processes start
        return in_turns(
            rounds,
            lambda: loader_rate(corpus, config, batches),
            lambda: bare_rate(asked, slices, pool),
        )


def loader_rate(corpus: Corpus, config: PretrainConfig, batches: int) -> float:
    """Slices a second that the training loader delivers, once its readers run."""
    sampler = EpochSampler(len(corpus), config)
    with tempfile.TemporaryDirectory() as scratch:
        cache = FrameCache(Path(scratch) / "cache", 0, picture_of(config.slice))
        loader = train_loader(corpus, config, cache, sampler, pin=False)
        for _ in range(2 * sampler.steps_per_epoch):  # until the readers know most videos, as mostly in a run
            next(loader)
        began = time.perf_counter()
        slices = sum(int(batch.slices.lengths.numel()) for batch in islice(loader, batches))
        seconds = time.perf_counter() - began
        loader.close()
    return slices / seconds


def requests(corpus: Corpus, config: PretrainConfig, samples: int) -> list[Request]:
    """Files and frames, each once and in order, that so many samples of a training run ask for."""
    positions = (position for batch in EpochSampler(len(corpus), config) for position in batch)
    return [request(corpus, config, at.epoch, at.video) for at in islice(positions, samples)]


def request(corpus: Corpus, config: PretrainConfig, epoch: int, video: int) -> Request:
    """What the dataset asks of one video."""
    path, wanted = corpus.videos[video].path, config.slice
    frames = open_video(path, (SIZE, SIZE))
    rng = generator(config.seed, "sample", epoch, video, "starts")
    starts = draw_starts(rng, frames.duration_s, wanted.length_s, wanted.per_video, wanted.max_gap_s)
    return path, np.unique(frames_at(frames.times, cell_times(starts, wanted.frames, wanted.fps)))


def bare_rate(asked: list[Request], slices: int, pool: ProcessPoolExecutor) -> float:
    """Slices a second of decord and nothing else."""
    began = time.perf_counter()
    count = sum(pool.map(read_bare, [asked[number::16] for number in range(16)]))
    return count * slices / (time.perf_counter() - began)


def read_bare(asked: list[Request]) -> int:
    """Read frames at the size that training reads them; returns how many requests there were."""
    for path, indices in asked:
        decord.VideoReader(str(path), width=SIZE, height=SIZE, num_threads=1).get_batch(indices).asnumpy()
    return len(asked)


if __name__ == "__main__":
    main()
