"""From a corpus to training batches: which slices, and which views of them."""

import atexit
import signal
from collections.abc import Sequence
from multiprocessing import active_children

import torch
from torch.utils.data import DataLoader, Dataset, default_collate

from sora_video.base.errors import CorpusError, VideoError
from sora_video.base.processes import peak_memory_mb, worker_count
from sora_video.base.randomness import generator
from sora_video.configs.schema import PretrainConfig
from sora_video.pretrain.video.cache import FrameCache
from sora_video.pretrain.video.corpus import Corpus
from sora_video.pretrain.video.quarantine import Failure
from sora_video.pretrain.video.reader import read_slices, span
from sora_video.pretrain.video.slices import Slices, draw_starts
from sora_video.pretrain.views.draw import Views, draw_views

from .batch import Batch, Sample
from .sampler import EpochSampler, Position

__all__ = ["SliceDataset", "train_loader"]


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
