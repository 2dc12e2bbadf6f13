"""How fast pretraining is beside what bounds it and beside other ways: ``python -m benchmarks.throughput``.

Every ratio is of two measurements in this one run, taken in turns; the best of each is compared.
"""

import argparse
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import torch

from sora_video.base.files import write_text
from sora_video.base.randomness import generator
from sora_video.configs.loader import dump_config
from sora_video.configs.schema import PretrainConfig
from sora_video.pretrain.training.batch import Batch
from sora_video.pretrain.training.learner import Learner
from sora_video.pretrain.training.loader import stack
from sora_video.pretrain.training.loop import pretrain_encoder
from sora_video.pretrain.training.methods import Known, make_method
from sora_video.pretrain.training.model import Contrastive, make_optimizer
from sora_video.pretrain.training.ranks import confer, make_fabric
from sora_video.pretrain.training.run.folder import Run
from sora_video.pretrain.training.sampler import EpochSampler
from sora_video.pretrain.training.signals import Stop
from sora_video.pretrain.video.corpus import Corpus, open_corpus
from sora_video.pretrain.video.prepare import prepare_corpus
from sora_video.pretrain.video.slices import Slices
from sora_video.pretrain.video.sound import RATE
from sora_video.pretrain.views.draw import Views
from sora_video.pretrain.views.draw_altered import draw_altered
from sora_video.pretrain.views.draw_copy import draw_copy
from sora_video.pretrain.views.draw_local import draw_local
from sora_video.pretrain.views.draw_picture import VIEW_FIELDS, draw_view
from sora_video.pretrain.views.draw_sound import SOUND_FIELDS
from sora_video.pretrain.views.draw_tubelet import draw_tubelets
from sora_video.pretrain.views.picture import apply_views

from .loading import in_turns, line, settings
from .peer import peer_clips_per_second
from .real import DATA, write_table

STEPS = 8
"""Steps of a measurement in memory."""


def random_batch(config: PretrainConfig) -> Batch:
    """A batch of noise in memory."""
    videos, slices, size = config.optim.batch_size, config.slice.per_video, config.slice.size
    rng, rows = generator("views"), slices * config.slice.views
    views = np.stack([draw_view(rng, config.augment) for _ in range(videos * rows)])
    copies = np.stack([draw_copy(rng, config.augment) for _ in range(videos * rows)])
    frames = torch.randint(0, 256, (videos, slices, config.slice.frames, size, size, 3), dtype=torch.uint8)
    lengths = torch.full((videos, slices), config.slice.frames)
    samples, fields = (
        (round(config.slice.length_s * RATE), SOUND_FIELDS) if config.encoder.has_audio else (0, 0)
    )
    silence = torch.zeros(videos, slices, samples, dtype=torch.int16)
    length, played = config.slice.frames, np.array([[1, 0]] * slices, np.float32)
    whole = np.full(slices, length)
    return Batch(
        Slices(frames, lengths, silence, torch.zeros(videos, slices, dtype=torch.bool)),
        Views(
            torch.from_numpy(views).view(videos, rows, VIEW_FIELDS),
            torch.zeros(videos, rows, fields),
            torch.from_numpy(played).repeat(videos, config.slice.views, 1),
            torch.from_numpy(copies).view(videos, rows, -1),
        ),
        torch.arange(videos),
        torch.arange(videos),
        torch.arange(videos),
        altered=stack([draw_altered((video,), config.loss, whole, length) for video in range(videos)]),
        local=stack([draw_local((video,), config.augment, whole, played, length) for video in range(videos)]),
        tubelets=stack([draw_tubelets((video,), config.augment) for video in range(videos)]),
    )


def step_rate(config: PretrainConfig) -> float:
    """Clips a second of our training step on a batch that is in memory."""
    fabric = make_fabric(config.optim)
    sampler = EpochSampler(config.optim.batch_size, config)
    learner, batch = Learner(config, fabric, sampler), random_batch(config)
    common = confer(fabric, batch, sampler, stop=Stop.NO, save=False)
    return timed(lambda number: learner.step(batch, common, number), config)


def plain_step_rate(config: PretrainConfig) -> float:
    """Clips a second of the same step in fp32 with contiguous tensors and weights."""
    model = Contrastive(config).to(memory_format=torch.contiguous_format)
    optimizer = make_optimizer(model, config.optim)
    batch, method = random_batch(config), make_method(config, model)

    def step(_: int) -> None:
        slices = Slices(*(column.flatten(0, 1) for column in batch.slices))
        clips = apply_views(
            slices.frames, batch.views.picture.flatten(0, 1), config.augment.size
        ).contiguous()
        projections = model(clips, *slices[1:]).view(*batch.slices.lengths.shape, 1, -1)
        known = Known(batch.video, batch.slices.has_audio, batch.slices.lengths, batch.views.time)
        loss = method.loss(projections, known)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        optimizer.zero_grad()

    return timed(step, config)


def timed(step: Callable[[int], object], config: PretrainConfig) -> float:
    """Clips a second of a step, after two to warm up."""
    for number in range(2):
        step(number)
    began = time.perf_counter()
    for number in range(STEPS):
        step(number)
    return STEPS * config.optim.batch_size * config.slice.per_video / (time.perf_counter() - began)


def training_rate(corpus: Corpus, cache_gb: int) -> float:
    """Clips a second of a training run, after the first lines of its log."""
    config = settings(f"data.cache_gb={cache_gb}", "optim.epochs=5", "tracking.every=5")
    with tempfile.TemporaryDirectory() as scratch:
        log = pretrain_encoder(corpus, Path(scratch) / "run", config).log()
    return statistics.median(entry["clips_per_s"] for entry in log[2:])


def ranks_rate(corpus_path: Path, processes: int) -> float:
    """Clips a second of a run that so many processes of one thread each share, a group each."""
    config = settings("data.workers=0", "data.cache_gb=8", "optim.epochs=3")
    with tempfile.TemporaryDirectory() as scratch:
        recipe, out = Path(scratch) / "recipe.yaml", Path(scratch) / "run"
        write_text(recipe, dump_config(config))
        command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", str(processes)]
        command += [
            "-m",
            "sora_video",
            "pretrain",
            str(corpus_path),
            "--out",
            str(out),
            "--config",
            str(recipe),
        ]
        subprocess.run(command, check=True, capture_output=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
        return statistics.median(entry["clips_per_s"] for entry in Run.open(out).log()[1:])


def peak_memory(corpus: Corpus, steps: int) -> Iterator[str]:
    """Peak memory a quarter into a long run of a small network, and at its end."""
    small = (
        "encoder.width=4",
        "slice.size=32",
        "augment.size=32",
        "optim.batch_size=16",
        "tracking.every=100",
    )
    epochs = steps // (len(corpus) // 16) + 1
    with tempfile.TemporaryDirectory() as scratch:
        config = settings(*small, "data.cache_gb=8", f"optim.epochs={epochs}")
        log = pretrain_encoder(corpus, Path(scratch) / "run", config).log()
    early, late = log[len(log) // 4], log[-1]
    for process, key in (("training process", "memory_mb"), ("largest reader", "reader_mb")):
        what = f"peak memory in MB of the {process}, step {late['step']} / step {early['step']}"
        yield line(what, late[key], early[key])


def rows(corpus_path: Path, scratch: Path, rounds: int) -> Iterator[str]:
    """Every measurement, one row each."""
    raw, config = open_corpus(corpus_path), settings()
    prepare_corpus(corpus_path, scratch / "prepared", size=64, fps=16)
    prepared = open_corpus(scratch / "prepared" / "manifest.csv")
    step, plain = in_turns(rounds, partial(step_rate, config), partial(plain_step_rate, config))
    yield line(
        "the training step in memory / the same in plain fp32, contiguous, clips a second", step, plain
    )
    for name, corpus, cache in (("raw video, frame cache", raw, 8), ("prepared video", prepared, 0)):
        rate, step = in_turns(rounds, partial(training_rate, corpus, cache), partial(step_rate, config))
        yield line(f"training on {name} / its step on noise in memory, clips a second", rate, step)
    peer = partial(peer_clips_per_second, [video.path for video in raw.videos], config, STEPS)
    rate, step, other = in_turns(rounds, partial(training_rate, raw, 0), partial(step_rate, config), peer)
    yield line("training on raw video / its step on noise in memory, clips a second", rate, step)
    yield line(
        "training on raw video / a plain loop (lightly, torchvision v2, fp32), clips a second", rate, other
    )
    two, one = in_turns(rounds, partial(ranks_rate, corpus_path, 2), partial(ranks_rate, corpus_path, 1))
    yield line("2 processes / 1 process, one thread each, clips a second", two, one)
    yield from peak_memory(raw, 2000)


def main() -> None:
    """Measure everything, print and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=2)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        write_table(
            "throughput.md",
            "Speed of pretraining",
            f"""`make bench-pretrain`: r3d_tiny, 8 frames at 64 px, on the wagon videos; {os.cpu_count()}
            cores, {platform.machine()}, torch {torch.__version__}.""",
            ["what", "first", "second", "ratio"],
            rows(DATA / "wagon" / "labels.csv", Path(scratch), arguments.rounds),
        )


if __name__ == "__main__":
    main()
