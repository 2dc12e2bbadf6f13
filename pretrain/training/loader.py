"""From a corpus to training batches: which slices, and which views of them."""

from collections.abc import Generator, Sequence
from dataclasses import replace
from itertools import count, islice
from typing import Any

import numpy as np
import torch

from sora_video.base.errors import CorpusError
from sora_video.base.processes import worker_count
from sora_video.configs.schema import PretrainConfig
from sora_video.pretrain.video.cache import FrameCache
from sora_video.pretrain.video.corpus import Corpus
from sora_video.pretrain.video.quarantine import Failure
from sora_video.pretrain.video.read import grid_of, limits_of, span_of
from sora_video.pretrain.video.reader import Draw
from sora_video.pretrain.video.readers.readers import Readers, Request
from sora_video.pretrain.video.slices import Slices
from sora_video.pretrain.views.draw import Views

from .batch import Batch, Sample
from .reading import Common, SampleTask, read_sample
from .sampler import EpochSampler, Position

__all__ = ["collate", "train_loader", "video_numbers"]

AHEAD = 4
"""Batches that are read before they are needed."""
DEPTH = 2
"""Samples that a reader has: one that it reads, and the next."""


def train_loader(
    corpus: Corpus, config: PretrainConfig, cache: FrameCache, sampler: EpochSampler, pin: bool
) -> Generator[Batch, None, None]:
    """A whole run's batches. Closing it ends the readers.

    Each sample is a function of (seed, epoch, video), whoever reads it.

    Args:
        corpus: the videos.
        config: all settings.
        cache: keeps decoded frames.
        sampler: which videos make which batch.
        pin: whether batches lie in page-locked memory.

    Raises:
        CorpusError: the corpus has fewer than two videos, so that there are no negatives.
    """
    return Loading(corpus, config, cache, pin).batches(sampler)


def video_numbers(corpus: Corpus, config: PretrainConfig) -> list[int]:
    """A number for each entry of a corpus, the same for entries whose slices are of one video.

    Entries of one file are of one video. Where all are of the same file and the method needs no negatives,
    each is a video of its own.

    Args:
        corpus: the videos.
        config: names the method.

    Raises:
        CorpusError: there is only one video, so that there is nothing to tell it from.
    """
    numbers = corpus.numbers()
    if len(set(numbers)) == 1 and not config.method.negatives_needed:
        numbers = list(range(len(corpus)))
    if len(set(numbers)) < 2:
        raise CorpusError(
            f"corpus {corpus.root}: has 1 video; contrastive pretraining needs 2 or more, add videos"
        )
    return numbers


class Loading:
    """Reads samples ahead and makes batches of them."""

    def __init__(self, corpus: Corpus, config: PretrainConfig, cache: FrameCache, pin: bool) -> None:
        self.corpus, self.config, self.pin = corpus, config, pin
        wanted, cache = config.slice, replace(cache, folder=cache.folder.absolute())
        augment = config.augment
        draw = Draw(wanted.per_video, wanted.max_gap_s, wanted.gap_power, augment.rates, augment.reverse)
        self.common = Common(
            config.seed, grid_of(config), draw, cache, augment, config.loss, wanted.views
        ).packed()
        self.numbers = video_numbers(corpus, config)
        self.answers: dict[int, Any] = {}
        self.reader_mb = 0.0

    def batches(self, sampler: EpochSampler) -> Generator[Batch, None, None]:
        """All batches of a sampler, in its order."""
        workers = worker_count(self.config.data.workers)
        keys, steps = count(), iter(sampler)
        with Readers(workers, limits_of(self.config.data), depth=DEPTH) as readers:
            ahead: list[dict[int, Position]] = []
            while True:
                for step in islice(steps, AHEAD + 1 - len(ahead)):
                    ahead.append(dict(zip(keys, step, strict=False)))
                    readers.submit(*(self.request(*asked) for asked in ahead[-1].items()))
                if not ahead:
                    return
                yield self.batch(readers, ahead.pop(0))

    def request(self, key: int, position: Position) -> Request:
        """The request to a reader for one sample."""
        video = self.corpus.videos[position.video]
        task = SampleTask(span_of(video), position.epoch, position.video, self.common)
        return Request(key, read_sample, task, video.path)

    def batch(self, readers: Readers, wanted: dict[int, Position]) -> Batch:
        """Wait for the samples of one batch."""
        missing = wanted.keys() - self.answers.keys()
        while missing:
            answer = readers.get()
            self.answers[answer.key] = answer.value
            self.reader_mb = max(self.reader_mb, answer.memory_mb)
            missing.discard(answer.key)
        items = [self.sample(position, self.answers.pop(key)) for key, position in wanted.items()]
        return collate(items, self.numbers, self.reader_mb, pin=self.pin)

    def sample(self, position: Position, answer: Any) -> Sample | Failure:
        """A reader's answer for one sample."""
        video = self.corpus.videos[position.video]
        if isinstance(answer, str):
            return Failure(video.video_id, answer)
        return Sample(position.slot, position.video, *answer)


def collate(
    items: Sequence[Sample | Failure], numbers: Sequence[int], reader_mb: float = 0.0, *, pin: bool = False
) -> Batch:
    """Make a batch of samples; failures are left out of the tensors, and named.

    Args:
        items: one for each position.
        numbers: of each entry of the corpus, see :func:`video_numbers`.
        reader_mb: peak memory of the process that read them.
        pin: whether the batch lies in page-locked memory.
    """
    samples = [item for item in items if isinstance(item, Sample)]
    failures = tuple(item for item in items if isinstance(item, Failure))
    if not samples:
        nothing = torch.empty(0, dtype=torch.int64)
        slices, views = Slices(*[nothing] * 4), Views(*[nothing] * 4)
        return Batch(slices, views, nothing, nothing, nothing, failures, reader_mb)
    batch = Batch(
        stack([sample.slices for sample in samples]),
        stack([sample.views for sample in samples]),
        torch.tensor([numbers[sample.video] for sample in samples]),
        torch.tensor([sample.slot for sample in samples]),
        torch.tensor([sample.video for sample in samples]),
        failures,
        reader_mb,
        stack([sample.altered for sample in samples]),
        stack([sample.local for sample in samples]),
        stack([sample.tubelets for sample in samples]),
    )
    return batch.pin_memory() if pin else batch


def stack(parts: Sequence[Any]) -> Any:
    """Arrays of equal shapes as one tensor with a first axis more; of named tuples, each of their fields."""
    first = parts[0]
    if first is None or isinstance(first, np.ndarray):
        return None if first is None else torch.from_numpy(np.stack(parts))
    return type(first)(*map(stack, zip(*parts, strict=True)))
