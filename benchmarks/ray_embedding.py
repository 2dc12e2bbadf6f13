"""Ray beside this process on the same processors: ``python -m benchmarks.ray_embedding``."""

import argparse
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from sora_video.base.processes import usable_processors
from sora_video.configs.loader import load_config
from sora_video.pretrain.encoders.engines.engine import Engine, find_engine
from sora_video.pretrain.encoders.engines.ray_cluster import connected
from sora_video.pretrain.encoders.fingerprint import fingerprint
from sora_video.pretrain.encoders.frozen import VideoEncoder
from sora_video.pretrain.encoders.load import load_encoder
from sora_video.pretrain.encoders.registry import build_encoder
from sora_video.pretrain.encoders.weights import write_weights
from sora_video.pretrain.training.run.folder import Run
from sora_video.pretrain.video.corpus import Corpus, open_corpus

from .costs import machine
from .real import DATA, write_table


class Times(NamedTuple):
    """Of one engine that embeds a corpus."""

    first_s: float
    """Seconds until the first table came, of one video or of some."""
    whole_s: float
    slices: int


def main() -> None:
    """Embed the wagon videos in turns, write and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--videos", type=int, help="take so many videos alone, to try it")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    corpus = open_corpus(DATA / "wagon" / "labels.csv")
    corpus = Corpus(corpus.root, corpus.videos[: options.videos])
    with tempfile.TemporaryDirectory() as scratch:
        encoder = load_encoder(untrained_run(Path(scratch) / "run"))
        began = time.perf_counter()
        with connected(None):
            start_s = time.perf_counter() - began
            measured = measure(corpus, encoder, options.rounds)
    write_table(
        "ray-embedding.md",
        "Embedding by Ray beside one process",
        f"""`make bench-scale`: {len(corpus)} wagon videos by an encoder of the recipe `tiny-cpu`; machine:
        {machine()}; medians of {options.rounds} rounds, in turns. To start Ray took {start_s:.1f} s more. The
        overhead is that of the whole, the start of the workers included, which is the same for all.""",
        ["engine", "workers", "first table, s", "whole, s", "slices a second", "overhead"],
        rows(measured),
    )


def untrained_run(folder: Path, *options: str) -> Path:
    """A run of the recipe, with some options of its own, that never trained, which workers can load."""
    config = load_config("tiny-cpu", options)
    Run.new(folder, config).begin()
    weights = build_encoder(config.encoder, seed=0).state_dict()
    write_weights(folder, weights, fingerprint(weights, config.encoder, config.slice))
    return folder


def measure(corpus: Corpus, encoder: VideoEncoder, rounds: int) -> dict[tuple[str, int], list[Times]]:
    """The times of each engine, by its name and workers, after one round that does not count."""
    processors = usable_processors()
    engines = {("local", 1): find_engine("local")}
    for workers in sorted({1, processors}):
        engines["ray", workers] = find_engine("ray", None, processors // workers)
    measured: dict[tuple[str, int], list[Times]] = {key: [] for key in engines}
    for turn in range(rounds + 1):
        for key, engine in engines.items():
            times = timed(engine, corpus, encoder)
            measured[key] += [times] if turn else []
    return measured


def timed(engine: Engine, corpus: Corpus, encoder: VideoEncoder) -> Times:
    """Embed the corpus once."""
    began, first_s, slices = time.perf_counter(), 0.0, 0
    for table in engine(corpus, encoder):
        first_s = first_s or time.perf_counter() - began
        slices += len(table)
    return Times(first_s, time.perf_counter() - began, slices)


def rows(measured: dict[tuple[str, int], list[Times]]) -> Iterator[str]:
    """A line an engine."""
    alone_s = statistics.median(times.whole_s for times in measured["local", 1])
    for (name, workers), all_times in measured.items():
        first_s, whole_s, slices = (statistics.median(column) for column in zip(*all_times, strict=True))
        cells = [f"{first_s:.1f}", f"{whole_s:.1f}", f"{slices / whole_s:.0f}"]
        overhead = f"{whole_s / alone_s - 1:+.0%}"
        yield f"| {name} | {workers} | " + " | ".join([*cells, overhead]) + " |"


if __name__ == "__main__":
    main()
