"""What a reader does for training: the slices of one sample, and which views to make of them."""

import pickle
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sora_video.configs.augment import AugmentConfig
from sora_video.configs.sections import LossConfig
from sora_video.pretrain.video.cache import FrameCache
from sora_video.pretrain.video.reader import Draw, Grid, Span, drawn_slices
from sora_video.pretrain.video.slices import Slices
from sora_video.pretrain.views.draw import Views, draw_views
from sora_video.pretrain.views.draw_altered import Altered, draw_altered
from sora_video.pretrain.views.draw_local import Local, draw_local
from sora_video.pretrain.views.draw_tubelet import draw_tubelets

__all__ = ["Common", "Drawn", "SampleTask", "read_sample"]

Drawn = tuple[
    Slices[NDArray[Any]],
    Views[NDArray[Any]],
    Altered[NDArray[Any]] | None,
    Local[NDArray[Any]] | None,
    NDArray[np.float32] | None,
]
"""R slices and R views, and where the run has them copies in another order, local views, and tubelets."""


@dataclass(frozen=True)
class Common:
    """What all samples of a run have in common."""

    seed: int
    grid: Grid
    draw: Draw
    cache: FrameCache
    augment: AugmentConfig
    loss: LossConfig
    views: int
    """Of each slice."""

    def packed(self) -> bytes:
        """As readers take it: it is packed once, and not with every sample."""
        return pickle.dumps(self)


class SampleTask(NamedTuple):
    """All that a sample is a function of."""

    span: Span
    epoch: int
    video: int
    """Number in the corpus."""
    common: bytes
    """See :meth:`Common.packed`."""


def read_sample(task: SampleTask) -> Drawn:
    """Read one sample.

    Args:
        task: which slices to draw from which video, and how to augment them.

    Returns:
        The slices, their views, those of the first slice, then those of the second, and what else is made of
        them.

    Raises:
        VideoError: the file cannot be read.
    """
    common = unpacked(task.common)
    key = (common.seed, "sample", task.epoch, task.video)
    slices, playback = drawn_slices(task.span, common.grid, common.draw, key, common.cache)
    augment, time, frames = common.augment, playback.fields, slices.frames.shape[1]
    return (
        slices,
        draw_views(key, augment, time.repeat(common.views, axis=0), has_audio=common.grid.has_audio),
        draw_altered(key, common.loss, slices.lengths, frames),
        draw_local(key, augment, slices.lengths, time, frames),
        draw_tubelets(key, augment),
    )


@lru_cache(maxsize=1)
def unpacked(common: bytes) -> Common:
    """What :meth:`Common.packed` packed."""
    made: Common = pickle.loads(common)
    return made
