"""What one GPU does: ``make bench-gpu``; ``python -m benchmarks.gpu --cpu --small`` tries it without one."""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from textwrap import wrap
from typing import Any

import faiss
import numpy as np
import torch

from sora_video.base.errors import RunError, SoraError
from sora_video.base.files import write_text
from sora_video.index.store.gpu import on_gpus
from sora_video.pretrain.training.run.folder import Run
from sora_video.pretrain.video.corpus import open_corpus

from .films import Film, write_film
from .gpu_embedding import embedding, listed
from .real import DATA, RESULTS

FAISS: Any = faiss
TRAINING = (
    "encoder.name=r3d_18",
    "encoder.input=rgb",
    "slice.frames=16",
    "slice.fps=15",
    "slice.size=128",
    "augment.size=112",
    "optim.precision=bf16",
    "optim.epochs=1000",
    "tracking.every=5",
    "checkpoint.every_s=1e6",
)
SMALL = (
    "encoder.name=r3d_tiny",
    "encoder.width=4",
    "slice.frames=4",
    "slice.size=32",
    "augment.size=32",
    "optim.batch_size=8",
    "optim.epochs=4",
    "tracking.every=1",
)


def main() -> None:
    """Measure everything, print and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cpu", action="store_true", help="go on without a GPU")
    parser.add_argument("--small", action="store_true", help="small networks and few rows, to try it")
    parser.add_argument("--minutes", type=float, default=1.0, help="of each training run")
    parser.add_argument("--out", type=Path, default=RESULTS / "gpu.md", help="file to write")
    arguments = parser.parse_args()
    if not torch.cuda.is_available() and not arguments.cpu:
        raise SystemExit("error: no GPU is seen by torch; --cpu --small tries the benchmark without one")
    lines = list(report(arguments))
    write_text(arguments.out, "\n".join(lines) + "\n")
    print("\n".join(lines))


def report(arguments: argparse.Namespace) -> Iterator[str]:
    """The lines of the table."""
    device = "cpu" if arguments.cpu else "cuda"
    name = "no GPU" if arguments.cpu else torch.cuda.get_device_name()
    text = f"""`make bench-gpu`; {name}, {os.cpu_count()} cores, torch {torch.__version__}, FAISS
        {FAISS.__version__} with {FAISS.get_num_gpus()} GPUs{"; small, to try it" if arguments.small else ""}.
        Training: videos of labels.csv, decoded as it goes, no frame cache; wait: part of the time in which
        the device has nothing to do. Embedding: slices in memory, random weights, bf16 and float32; what
        is not installed is named."""
    yield "# One GPU"
    yield ""
    yield from wrap(" ".join(text.split()), 110)
    yield ""
    yield "| what | value |"
    yield "|---|---|"
    for what, value in rows(arguments, device):
        print(f"{what}: {value}", file=sys.stderr, flush=True)
        yield f"| {what} | {value} |"


def rows(arguments: argparse.Namespace, device: str) -> Iterator[tuple[str, str]]:
    """Every measurement; one that fails says why."""
    minutes = arguments.minutes
    with tempfile.TemporaryDirectory() as scratch:
        videos = training_videos(Path(scratch), arguments.small)
        settings = [*TRAINING, *(SMALL if arguments.small else ())]
        if device == "cpu":
            settings.append("optim.precision=fp32")
        measurements: list[tuple[str, Callable[[], str]]] = [
            ("tests with the marker gpu", gpu_tests),
            ("training, one process", lambda: training(videos, Path(scratch), settings, minutes, 1)),
            (
                "training, two processes on one device",
                lambda: training(videos, Path(scratch), settings, minutes, 2),
            ),
            ("search of 1 M x 512, exact", lambda: exact_search(20_000 if arguments.small else 1_000_000)),
        ]
        for what, measure in measurements:
            yield what, outcome(measure)
        for model, source in listed(arguments.small):
            what, extra = f"embedding, {model}", f"sora-video[{source.extra}]"
            if source.is_installed():
                yield what, outcome(partial(embedding, model, device, arguments.small))
            else:
                yield what, f"not measured, since {extra} is not installed"


def outcome(measure: Callable[[], str]) -> str:
    """What a measurement says, or why it cannot be made."""
    try:
        return measure()
    except (SoraError, RuntimeError, subprocess.SubprocessError, OSError) as error:
        return "failed: " + " ".join(str(error).split())[:300]


def gpu_tests() -> str:
    """The closing line of the tests that need a GPU."""
    command = [sys.executable, "-m", "pytest", "-q", "-m", "gpu", "tests/gpu"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=RESULTS.parents[1], check=False)
    return done.stdout.strip().splitlines()[-1]


def training_videos(scratch: Path, small: bool) -> list[Path]:
    """Videos to train on: real ones where they are."""
    if DATA.is_dir() and not small:
        return [video.path for video in open_corpus(DATA / "wagon" / "labels.csv").videos]
    (scratch / "films").mkdir()
    film = Film("mp4", "h264", "closed groups")
    return [
        write_film(scratch / "films" / f"{number}.mp4", film, range(number, number + 30))
        for number in range(40)
    ]


def training(
    videos: Sequence[Path], scratch: Path, settings: Sequence[str], minutes: float, runs: int
) -> str:
    """Clips a second of so many runs at once, and the part of the time that they waited for data."""
    with ThreadPoolExecutor(runs) as pool:
        outs = [Path(tempfile.mkdtemp(dir=scratch)) / "run" for _ in range(runs)]
        logs = list(pool.map(lambda out: train(videos, out, settings, minutes), outs))
    rates = [statistics.median(entry["clips_per_s"] for entry in log) for log in logs]
    waits = [statistics.median(entry["wait"] for entry in log) for log in logs]
    return f"{sum(rates):.0f} clips/s, wait {np.mean(waits):.2f}"


def train(videos: Sequence[Path], out: Path, settings: Sequence[str], minutes: float) -> list[dict[str, Any]]:
    """The log of one run of so many minutes, without its first lines, in a process of its own."""
    listed = out.with_name("videos.csv")
    write_text(listed, "path\n" + "".join(f"{path.absolute()}\n" for path in videos))
    command = [sys.executable, "-m", "sora_video", "pretrain", str(listed), "--out", str(out)]
    command += ["--max-minutes", str(minutes), "data.cache_gb=0", *settings]
    subprocess.run(command, check=True, capture_output=True, text=True)
    log = Run.open(out).log()
    if len(log) < 2:
        raise RunError(f"no more than {len(log)} lines were logged; name more --minutes")
    return log[len(log) // 3 :]


def exact_search(rows: int) -> str:
    """Queries a second by FAISS on the processor and on the GPU."""
    rng = np.random.default_rng(0)
    vectors = rng.standard_normal((rows, 512), np.float32)
    FAISS.normalize_L2(vectors)
    index = FAISS.IndexFlatIP(512)
    index.add(vectors)
    queries = vectors[:256]
    near = len(queries) / timed(lambda: index.search(queries, 10))
    if not FAISS.get_num_gpus():
        return f"{near:.0f} queries/s on the processor; this FAISS sees no GPU"
    there = on_gpus(index)
    far = len(queries) / timed(lambda: there.search(queries, 10))
    return f"{near:.0f} queries/s on the processor, {far:.0f} on the GPU"


def timed(step: Callable[[], object]) -> float:
    """Seconds of a step, the second time."""
    step()
    began = time.perf_counter()
    step()
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
