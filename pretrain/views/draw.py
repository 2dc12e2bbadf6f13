"""Which views to make of slices."""

from typing import Any, Generic, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sora_video.base.randomness import generator
from sora_video.configs.augment import AugmentConfig
from sora_video.pretrain.video.slices import Array

from .draw_copy import draw_copy
from .draw_picture import draw_view
from .draw_sound import draw_sound_view

__all__ = ["TIME_FIELDS", "Views", "draw_views"]

TIME_FIELDS = 2
"""Numbers that say how a slice is played: how many times faster, and whether backwards (0 or 1)."""


class Views(NamedTuple, Generic[Array]):
    """Which views to make of slices, all arrays with the same first axes (...)."""

    picture: Array
    """(..., VIEW_FIELDS) float32"""
    sound: Array
    """(..., SOUND_FIELDS) float32"""
    time: Array
    """(..., TIME_FIELDS) float32, how the slices were played that they are made of"""
    copy: Array
    """(..., COPY_FIELDS) float32, or (..., 0) where the run makes no view a copy"""


def draw_views(
    key: tuple[int | str, ...], augment: AugmentConfig, time: NDArray[np.float32], *, has_audio: bool
) -> Views[NDArray[Any]]:
    """Draw the views of a sample.

    Args:
        key: of their randomness.
        augment: ranges and probabilities.
        time: (R, ``TIME_FIELDS``) how the slice of each of the R views is played.
        has_audio: whether they have sound.
    """
    count = len(time)
    pictures = [draw_view(generator(*key, "view", number), augment) for number in range(count)]
    sounds = np.zeros((count, 0), np.float32)
    if has_audio:
        sounds = np.stack(
            [draw_sound_view(generator(*key, "sound", number), augment) for number in range(count)]
        )
    copies = [draw_copy(generator(*key, "copy", number), augment) for number in range(count)]
    return Views(np.stack(pictures), sounds, time, np.stack(copies))
