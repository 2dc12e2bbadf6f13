"""Which views to make of slices."""

from typing import Any, Generic, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sora_video.base.randomness import generator
from sora_video.configs.schema import PretrainConfig
from sora_video.pretrain.video.slices import Array

from .picture import draw_view
from .sound import draw_sound_view

__all__ = ["Views", "draw_views"]


class Views(NamedTuple, Generic[Array]):
    """Which views to make of slices, all arrays with the same first axes (...)."""

    picture: Array
    """(..., VIEW_FIELDS) float32"""
    sound: Array
    """(..., SOUND_FIELDS) float32"""


def draw_views(key: tuple[int | str, ...], config: PretrainConfig) -> Views[NDArray[Any]]:
    """A view of each slice of a sample."""
    numbers = range(config.slice.per_video)
    pictures = [draw_view(generator(*key, "view", number), config.augment) for number in numbers]
    sounds = np.zeros((len(numbers), 0), np.float32)
    if config.encoder.has_audio:
        drawn = [draw_sound_view(generator(*key, "sound", number), config.augment) for number in numbers]
        sounds = np.stack(drawn)
    return Views(np.stack(pictures), sounds)
