"""From a corpus to training batches: which slices, and which views of them."""

import atexit
import os
import resource
import signal
import sys
from collections.abc import Sequence
from multiprocessing import active_children
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import DataLoader, Dataset, default_collate

from sora_video.configs.errors import CorpusError, VideoError
from sora_video.configs.schema import PretrainConfig

from .augment import draw_view
from .augment_sound import draw_sound_view
from .batch import Batch, Sample, Slices, Views
from .cache import FrameCache
from .corpus import Corpus, Video
from .decode import KNOWN, Frames
from .quarantine import Failure
from .randomness import generator
from .sampler import EpochSampler, Position
from .slices import cell_times, draw_starts, frames_at
from .sound import Sound, read_sound

__all__ = ["SliceDataset", "peak_memory_mb", "read_slices", "span", "train_loader", "worker_count"]


def span(video: Video, frames: Frames) -> tuple[float, float]:
    """Start and end in seconds of the part of a video that its corpus entry names.

    Raises:
        VideoError: the named part lies beyond the video's end.
    """
    end_s = min(video.end_s or frames.duration_s, frames.duration_s)
    if video.start_s >= end_s:
        raise VideoError(
            f"start_s={video.start_s:g} is not before its end at {end_s:.3f} s; mend the manifest"
        )
    return video.start_s, end_s


def read_slices(
    video: Video, frames: Frames, starts: NDArray[np.float64], end_s: float, config: PretrainConfig
) -> Slices[NDArray[Any]]:
    """Decode slices of one video, each frame once; sound too, where the config's encoder listens.

    Args:
        video: the file.
        frames: the same, opened.
        starts: (n,) starts in seconds.
        end_s: seconds past which the last frame is held.
        config: frames, rate and size of a slice; the encoder.

    Returns:
        n slices.
    """
    wanted = config.slice
    cells, last = cell_times(starts, wanted.frames, wanted.fps), max(0.0, end_s - 1e-3)
    indices = frames_at(frames.times, np.minimum(cells, last))
    pixels = frames.frames(indices.ravel())
    return Slices(
        pixels.reshape(*indices.shape, *pixels.shape[1:]),
        (cells <= last).sum(1).clip(min=1),
        *listen(video.path, starts, config),
    )


def draw_views(key: tuple[int | str, ...], config: PretrainConfig) -> Views[NDArray[Any]]:
    """A view of each slice of a sample."""
    numbers = range(config.slice.per_video)
    pictures = [draw_view(generator(*key, "view", number), config.augment) for number in numbers]
    sounds = np.zeros((len(numbers), 0), np.float32)
    if listens(config):
        drawn = [draw_sound_view(generator(*key, "sound", number), config.augment) for number in numbers]
        sounds = np.stack(drawn)
    return Views(np.stack(pictures), sounds)


def listens(config: PretrainConfig) -> bool:
    """Whether the config's encoder takes sound."""
    return config.encoder.name == "sora_av"


def listen(path: Path, starts: NDArray[np.float64], config: PretrainConfig) -> Sound:
    """The sound of slices; of no length where the config's encoder does not listen."""
    if not listens(config):
        return Sound(np.zeros((len(starts), 0), np.int16), np.zeros(len(starts), np.bool_))
    return read_sound(path, KNOWN.probe(path).origin_s, starts, config.slice.length_s)


class SliceDataset(Dataset[Sample | Failure]):
    """Slices and views of each video, drawn by (seed, epoch, video)."""

    def __init__(self, corpus: Corpus, config: PretrainConfig, cache: FrameCache) -> None:
        self.corpus, self.config, self.cache = corpus, config, cache

    def __getitem__(self, position: Position) -> Sample | Failure:
        """Read one sample, or say why it cannot be read."""
        video, config = self.corpus.videos[position.video], self.config
        try:
            frames = self.cache.open(video.path)
            start_s, end_s = span(video, frames)
            key = (config.seed, "sample", position.epoch, position.video)
            count, length_s = config.slice.per_video, config.slice.length_s
            starts = start_s + draw_starts(
                generator(*key, "starts"),
                end_s - start_s,
                length_s,
                count,
                config.slice.max_gap_s,
                config.slice.gap_power,
            )
            slices = read_slices(video, frames, starts, end_s, config)
        except VideoError as error:
            return Failure(video.video_id, str(error))
        return Sample(position.slot, position.video, slices, draw_views(key, config))


class Collate:
    """Stack samples to a :class:`Batch`."""

    def __init__(self, corpus: Corpus) -> None:
        self.number = corpus.numbers()

    def __call__(self, items: Sequence[Sample | Failure]) -> Batch:
        """Leave failures out of the tensors and name them."""
        samples = [item for item in items if isinstance(item, Sample)]
        failures = tuple(item for item in items if isinstance(item, Failure))
        if not samples:
            nothing = torch.empty(0, dtype=torch.int64)
            slices, views = Slices(*[nothing] * 4), Views(*[nothing] * 2)
            return Batch(slices, views, nothing, nothing, failures, peak_memory_mb())
        return Batch(
            Slices(*map(default_collate, zip(*(sample.slices for sample in samples), strict=True))),
            Views(*map(default_collate, zip(*(sample.views for sample in samples), strict=True))),
            torch.tensor([self.number[sample.video] for sample in samples]),
            torch.tensor([sample.slot for sample in samples]),
            failures,
            peak_memory_mb(),
        )


def peak_memory_mb() -> float:
    """Most memory in MB that this process has held so far."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)


def worker_count(wanted: int | None) -> int:
    """Decoding processes: as asked, else one for each processor this process may use, at most 8.

    Processes that torchrun started together share the processors.
    """
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    beside = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    return max(1, min(8, usable // beside)) if wanted is None else wanted


def leave_signals_to_the_loop(_: int) -> None:
    """Let a worker live through signals to its whole group, Ctrl-C among them, until the loop has saved."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)


def kill_readers() -> None:
    """End what :func:`leave_signals_to_the_loop` keeps alive when an error ends this process.

    Python would send them a SIGTERM as it exits, and wait for ever.
    """
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # torch's would raise an error of its own for each
    for child in active_children():
        if child.daemon:
            child.kill()


def train_loader(
    corpus: Corpus, config: PretrainConfig, cache: FrameCache, sampler: EpochSampler, pin: bool
) -> DataLoader[Sample | Failure]:
    """The loader of a whole run's batches.

    Raises:
        CorpusError: the corpus has fewer than two videos, so that there are no negatives.
    """
    if len({video.video_id for video in corpus.videos}) < 2:
        raise CorpusError(
            f"corpus {corpus.root}: has 1 video; contrastive pretraining needs 2 or more, add videos"
        )
    workers = worker_count(config.data.workers)
    atexit.register(kill_readers)
    return DataLoader(
        SliceDataset(corpus, config, cache),
        batch_sampler=sampler,
        num_workers=workers,
        collate_fn=Collate(corpus),
        pin_memory=pin,
        worker_init_fn=leave_signals_to_the_loop,
        prefetch_factor=4 if workers else None,
    )
