"""Slices on which an exported encoder is compared with the one that it was made from."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sora_video.base.errors import CorpusError
from sora_video.base.randomness import generator
from sora_video.configs.schema import PretrainConfig
from sora_video.pretrain.video.corpus import Corpus
from sora_video.pretrain.video.quarantine import Failure
from sora_video.pretrain.video.slices import Slices
from sora_video.pretrain.video.sound import RATE

from ..frozen import VideoEncoder
from ..published.clip import waves

__all__ = ["BATCHES", "random_slices", "samples"]

BATCHES = (3, 1)
"""Slices that are embedded at once, in turns."""


def samples(encoder: VideoEncoder, corpus: Corpus | None) -> Iterator[Slices[NDArray[Any]]]:
    """Slices of noise, of moving waves and of videos.

    Args:
        encoder: says how slices are read.
        corpus: the videos; None: none.

    Yields:
        Batches of :data:`BATCHES` slices; the last of a video's may be smaller.

    Raises:
        CorpusError: a video cannot be read.
    """
    noise = random_slices(encoder.config, BATCHES[0])
    yield noise
    yield with_waves(random_slices(encoder.config, 1))
    for _, item in encoder.read(corpus) if corpus else ():
        if isinstance(item, Failure):
            raise CorpusError(f"--check {item.video_id}: {item.reason}; leave it out")
        yield from batches(item.slices)


def random_slices(config: PretrainConfig, count: int) -> Slices[NDArray[Any]]:
    """Slices of noise: the first is whole, others are shorter, and every other one has sound if any has.

    Args:
        config: the size of slices.
        count: how many, n.
    """
    rng, wanted = generator("export", count), config.slice
    rows = np.arange(count)
    frames = rng.integers(0, 256, (count, wanted.frames, wanted.size, wanted.size, 3), np.uint8)
    lengths = np.maximum(wanted.frames - rows, 1).astype(np.int64)
    shown = np.minimum(np.arange(wanted.frames), lengths[:, None] - 1)
    has_audio = (rows % 2 == 0) & config.encoder.has_audio
    size = round(wanted.length_s * RATE) if config.encoder.has_audio else 0
    sound = rng.integers(-(2**15), 2**15, (count, size), np.int16) * has_audio[:, None]
    return Slices(frames[rows[:, None], shown], lengths, sound.astype(np.int16), has_audio)


def with_waves(slices: Slices[NDArray[Any]]) -> Slices[NDArray[Any]]:
    """The same with the synthetic picture."""
    _, frames, size, *_ = slices.frames.shape
    return slices._replace(frames=waves(frames, size)[None])


def batches(slices: Slices[NDArray[Any]]) -> Iterator[Slices[NDArray[Any]]]:
    """Slices in batches of changing size."""
    first, turn = 0, 0
    while first < len(slices.frames):
        rows = slice(first, first + BATCHES[turn % len(BATCHES)])
        yield Slices(*(column[rows] for column in slices))
        first, turn = rows.stop, turn + 1
