"""Which local views to make of the slices of a sample: drawn on the CPU, by NumPy alone."""

from typing import Any, Generic, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sora_video.base.randomness import generator
from sora_video.configs.augment import AugmentConfig
from sora_video.pretrain.video.slices import Array

from .draw import Views, draw_views

__all__ = ["Local", "draw_local"]


class Local(NamedTuple, Generic[Array]):
    """Local views of slices, all arrays with the same first axes (...)."""

    slice: Array
    """(..., L) int64, which of a sample's R slices each is made of"""
    first: Array
    """(..., L) int64, the frame of the slice that each starts with"""
    views: Views[Array]
    """The view to make of each, with the first axes (..., L)"""


def draw_local(
    key: tuple[int | str, ...],
    augment: AugmentConfig,
    lengths: NDArray[Any],
    time: NDArray[np.float32],
    frames: int,
) -> Local[NDArray[Any]] | None:
    """Draw the local views of a sample: their slices, their times within these, and their crops and colours.

    Args:
        key: of their randomness.
        augment: how many there are, and their ranges.
        lengths: (R,) how many frames of each slice are real; a view starts early enough to show real ones
            alone, where there are so many.
        time: (R, ``TIME_FIELDS``) how each slice is played.
        frames: T of a slice.

    Returns:
        The local views; None where the run has none.
    """
    rng, count = generator(*key, "local"), augment.local_views
    if not count:
        return None
    chosen = rng.integers(len(lengths), size=count)
    first = rng.integers(np.maximum(0, lengths[chosen] - (augment.local_frames or frames)) + 1)
    cropped = augment.model_copy(update={"crop_area": augment.local_area, "size": augment.local_size})
    views = draw_views((*key, "local"), cropped, time[chosen], has_audio=False)
    return Local(chosen, first, views)
