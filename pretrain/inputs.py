"""From decoded slices to what an encoder takes."""

from typing import NamedTuple

import torch
from torch import Tensor

from .augment import apply_views, to_clips
from .augment_sound import apply_sound_views, to_waveform
from .batch import Slices, Views

__all__ = ["Clips", "view", "whole"]


class Clips(NamedTuple):
    """The arguments of an encoder."""

    clips: Tensor
    """(N, 3, T, H, W) float32 in [0, 1]"""
    lengths: Tensor
    """(N,) int64, how many frames are there"""
    sound: Tensor
    """(N, S) float32 in [-1, 1]"""
    heard: Tensor
    """(N,) bool, whether there is sound"""


def view(slices: Slices[Tensor], views: Views[Tensor], size: int, dtype: torch.dtype) -> Clips:
    """Views of N slices, made on the device that holds them.

    Args:
        slices: with the one axis N.
        views: with the same.
        size: side of a view in pixels.
        dtype: arithmetic of the pictures' augmentation.
    """
    clips = apply_views(slices.frames, views.picture, size, dtype)
    return Clips(clips, slices.lengths, apply_sound_views(slices.sound, views.sound), slices.heard)


def whole(slices: Slices[Tensor]) -> Clips:
    """N slices as they are."""
    return Clips(to_clips(slices.frames), slices.lengths, to_waveform(slices.sound), slices.heard)
