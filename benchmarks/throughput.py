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
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import decord
import numpy as np
import torch

from sora_video.configs.loader import dump_config, load_config
from sora_video.configs.schema import PretrainConfig
from sora_video.configs.storage import write_text
from sora_video.pretrain.augment import VIEW_FIELDS, apply_views, draw_view
from sora_video.pretrain.batch import Batch
from sora_video.pretrain.cache import FrameCache
from sora_video.pretrain.corpus import Corpus, open_corpus
from sora_video.pretrain.data import train_loader
from sora_video.pretrain.decode import open_video
from sora_video.pretrain.learner import Learner
from sora_video.pretrain.loop import pretrain_encoder
from sora_video.pretrain.loss import info_nce
from sora_video.pretrain.model import Contrastive, make_optimizer

# PREP
from sora_video.pretrain.randomness import generator
from sora_video.pretrain.ranks import confer, make_fabric
from sora_video.pretrain.run import Run
from sora_video.pretrain.sampler import EpochSampler
from sora_video.pretrain.slices import cell_times, draw_starts, frames_at

from .peer import peer_clips_per_second
from .real import DATA, RESULTS

Request = tuple[Path, np.ndarray]


def settings(*overrides: str) -> PretrainConfig:
    """The recipe that is measured: 16-wide R3D, 8 frames at 64 px, without the frame cache."""
    return load_config("tiny-cpu", ["data.workers=2", "data.cache_gb=0", *overrides])


def in_turns(rounds: int, *ways: Callable[[], float]) -> list[float]:
    """The best rate of each way, measured in turns."""
    rates = [[way() for way in ways] for _ in range(rounds)]
    return [max(column) for column in zip(*rates, strict=True)]


def loader_rate(corpus: Corpus, config: PretrainConfig, batches: int) -> float:
    """Slices a second that the training loader delivers, once its workers run."""
    sampler = EpochSampler(
        len(corpus), config.model_copy(update={"optim": config.optim.model_copy(update={"epochs": 999})})
    )
    loader = iter(train_loader(corpus, config, FrameCache(Path("none"), 0, (64, 64)), sampler, pin=False))
    for _ in range(8):  # what was prefetched before the clock starts
        next(loader)
    began = time.perf_counter()
    slices = sum(next(loader).frames.shape[:2].numel() for _ in range(batches))
    return slices / (time.perf_counter() - began)


def requests(corpus: Corpus, config: PretrainConfig, samples: int) -> list[Request]:
    """Files and frame numbers that so many samples of a training run ask for."""
    sampler = EpochSampler(len(corpus), config)
    positions = [position for batch in sampler for position in batch][:samples]
    return [request(corpus, config, position.epoch, position.video) for position in positions]


def request(corpus: Corpus, config: PretrainConfig, epoch: int, video: int) -> Request:
    """What the dataset asks of one video."""
    path, wanted = corpus.videos[video].path, config.slice
    frames = open_video(path, (wanted.size, wanted.size))
    rng = generator(config.seed, "sample", epoch, video, "starts")
    starts = draw_starts(rng, frames.duration_s, wanted.length_s, wanted.per_video, wanted.max_gap_s)
    return path, frames_at(frames.times, cell_times(starts, wanted.frames, wanted.fps)).ravel()


def read_bare(asked: list[Request]) -> int:
    """Read frames by decord and nothing else."""
    for path, indices in asked:
        decord.VideoReader(str(path), width=64, height=64, num_threads=1).get_batch(indices).asnumpy()
    return len(asked)


def bare_rate(asked: list[Request], slices: int, pool: ProcessPoolExecutor) -> float:
    """Slices a second of the bare decoder in two processes."""
    began = time.perf_counter()
    count = sum(pool.map(read_bare, [asked[number::16] for number in range(16)]))
    return count * slices / (time.perf_counter() - began)


def loading(name: str, corpus: Corpus, rounds: int, batches: int) -> Iterator[str]:
    """The loader beside the bare decoder, with 2 and with 4 slices a video."""
    delivered: dict[int, float] = {}
    for slices in (2, 4):
        config = settings(f"slice.per_video={slices}", f"optim.batch_size={128 // slices}")
        asked = requests(
            corpus, settings(f"slice.per_video={slices}", "optim.epochs=20"), batches * 128 // slices
        )
        with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
            bare_rate(asked[:32], slices, pool)
            ours, bare = in_turns(
                rounds,
                lambda config=config: loader_rate(corpus, config, batches),  # type: ignore[misc]
                lambda asked=asked, slices=slices, pool=pool: bare_rate(asked, slices, pool),  # type: ignore[misc]
            )
        delivered[slices] = ours
        yield line(f"{name}, {slices} slices a video: loader / bare decoder, slices a second", ours, bare)
    yield line(f"{name}: 4 / 2 slices a video, slices a second", delivered[4], delivered[2])


def random_batch(config: PretrainConfig) -> Batch:
    """A batch of noise in memory."""
    videos, slices, size = config.optim.batch_size, config.slice.per_video, config.slice.size
    rng = generator("views")
    views = np.stack([draw_view(rng, config.augment) for _ in range(videos * slices)])
    return Batch(
        torch.randint(0, 256, (videos, slices, config.slice.frames, size, size, 3), dtype=torch.uint8),
        torch.from_numpy(views).view(videos, slices, VIEW_FIELDS),
        torch.arange(videos),
        torch.arange(videos),
    )


def step_rate(config: PretrainConfig, steps: int) -> float:
    """Clips a second of our training step on a batch that is in memory."""
    fabric = make_fabric(config.optim)
    sampler = EpochSampler(config.optim.batch_size, config)
    learner, batch = Learner(config, fabric, sampler), random_batch(config)
    common = confer(fabric, batch, sampler, stop=False, save=False)
    return timed(lambda number: learner.step(batch, common, number), steps, config)


def plain_step_rate(config: PretrainConfig, steps: int) -> float:
    """Clips a second of the same step in fp32 with contiguous tensors and weights."""
    model = Contrastive(config).to(memory_format=torch.contiguous_format)
    optimizer = make_optimizer(model, config.optim, torch.device("cpu"))
    batch = random_batch(config)

    def step(_: int) -> None:
        frames, views = batch.frames.flatten(0, 1), batch.views.flatten(0, 1)
        clips = apply_views(frames, views, config.augment.size, torch.float32).contiguous()
        loss = info_nce(model(clips).view(*batch.views.shape[:2], -1), batch.video, config.loss.temperature)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()

    return timed(step, steps, config)


def timed(step: Callable[[int], object], steps: int, config: PretrainConfig) -> float:
    """Clips a second of a step, after two to warm up."""
    for number in range(2):
        step(number)
    began = time.perf_counter()
    for number in range(steps):
        step(number)
    return steps * config.optim.batch_size * config.slice.per_video / (time.perf_counter() - began)


def training_rate(corpus: Corpus, config: PretrainConfig) -> float:
    """Clips a second of whole training runs, after the first lines of their logs."""
    with tempfile.TemporaryDirectory() as scratch:
        log = pretrain_encoder(corpus, Path(scratch) / "run", config).log()
    return statistics.median(entry["clips_per_s"] for entry in log[2:])


def peak_memory(corpus: Corpus, steps: int) -> str:
    """Peak memory along a long run with a small network."""
    config = settings(
        "encoder.width=4", "slice.size=32", "augment.size=32", "optim.batch_size=16", "data.cache_gb=8",
        f"optim.epochs={steps * 16 // (len(corpus) // 16 * 16) + 1}", "tracking.every=100",
    )  # fmt: skip
    with tempfile.TemporaryDirectory() as scratch:
        log = pretrain_encoder(corpus, Path(scratch) / "run", config).log()
    early, late = log[len(log) // 4], log[-1]
    return (
        f"| peak memory in MB, step {early['step']} to step {late['step']}: training process | "
        f"{early['memory_mb']:.0f} | {late['memory_mb']:.0f} | {late['memory_mb'] / early['memory_mb']:.3f} |\n"
        f"| the same: largest reader | {early['reader_mb']:.0f} | {late['reader_mb']:.0f} | "
        f"{late['reader_mb'] / early['reader_mb']:.3f} |"
    )


def ranks_rate(corpus_path: Path, processes: int, steps: int) -> float:
    """Clips a second of a run that so many processes of one thread each share."""
    with tempfile.TemporaryDirectory() as scratch:
        recipe, out = Path(scratch) / "recipe.yaml", Path(scratch) / "run"
        config = settings("optim.groups=2", "data.workers=0", "data.cache_gb=8", f"optim.epochs={steps}")
        write_text(recipe, dump_config(config))
        command = [
            sys.executable,
            "-m",
            "torch.distributed.run",
            "--nproc-per-node",
            str(processes),
            "-m",
            "sora_video",
        ]
        command += ["pretrain", str(corpus_path), "--out", str(out), "--config", str(recipe)]
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "MASTER_PORT": "29511"}
        subprocess.run(command, check=True, capture_output=True, env=environment)
        return statistics.median(entry["clips_per_s"] for entry in Run.open(out).log()[2:])


def line(what: str, ours: float, other: float) -> str:
    """One row of the table."""
    return f"| {what} | {ours:.0f} | {other:.0f} | {ours / other:.2f} |"


def rows(corpus_path: Path, scratch: Path, rounds: int, batches: int) -> Iterator[str]:
    """Every measurement, one row each."""
    raw = open_corpus(corpus_path)
    began = time.perf_counter()
    prepare_corpus(corpus_path, scratch / "prepared", size=64, fps=8)
    minutes = (time.perf_counter() - began) / 60
    prepared = open_corpus(scratch / "prepared" / "manifest.csv")
    yield from loading("raw video", raw, rounds, batches)
    yield from loading("prepared video", prepared, rounds, batches)
    config = settings()
    memory, plain = in_turns(rounds, lambda: step_rate(config, 6), lambda: plain_step_rate(config, 6))
    yield line(
        "training step, data in memory: bf16 channels-last / plain fp32 contiguous, clips a second",
        memory,
        plain,
    )
    for name, corpus, cache in (
        ("raw video, frame cache", raw, 8), ("raw video", raw, 0), ("prepared video", prepared, 0),
    ):  # fmt: skip
        epochs = max(2, 24 * 64 // len(corpus))
        run = settings(f"data.cache_gb={cache}", f"optim.epochs={epochs}", "tracking.every=2")
        rate, memory = in_turns(rounds, lambda: training_rate(corpus, run), lambda: step_rate(config, 6))  # noqa: B023
        yield line(f"training on {name} / the same step on noise in memory, clips a second", rate, memory)
        if name == "raw video":
            paths = [video.path for video in corpus.videos]
            ours, peer = in_turns(rounds, lambda: rate, lambda: peer_clips_per_second(paths, config, 6))  # noqa: B023
            yield line(
                "training on raw video / a plain loop (lightly, torchvision v2, fp32), clips a second",
                ours,
                peer,
            )
    two, one = in_turns(rounds, lambda: ranks_rate(corpus_path, 2, 3), lambda: ranks_rate(corpus_path, 1, 3))
    yield line("2 processes / 1 process, one thread each, clips a second", two, one)
    yield peak_memory(raw, 2000)
    yield f"| preparing {len(raw)} videos, minutes | {minutes:.1f} | | |"


def main() -> None:
    """Measure everything, print and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--batches", type=int, default=24)
    arguments = parser.parse_args()
    lines = [
        "# Speed of pretraining",
        "",
        f"`make bench-pretrain`: r3d_tiny, 8 frames at 64 px, on the wagon videos; {os.cpu_count()} cores, "
        f"{platform.machine()}, torch {torch.__version__}.",
        "",
        "| what | first | second | ratio |",
        "|---|---|---|---|",
    ]
    with tempfile.TemporaryDirectory() as scratch:
        for found in rows(DATA / "wagon" / "labels.csv", Path(scratch), arguments.rounds, arguments.batches):
            print(found, flush=True)
            lines.append(found)
    write_text(RESULTS / "throughput.md", "\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
