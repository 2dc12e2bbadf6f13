"""From decoded slices to what an encoder takes."""

from typing import NamedTuple

from torch import Tensor

from sora_video.pretrain.video.slices import Slices

__all__ = ["Clips", "to_clips", "to_waveform", "whole"]


class Clips(NamedTuple):
    """The arguments of an encoder."""

    clips: Tensor
    """(N, 3, T, H, W) float32 in [0, 1]"""
    lengths: Tensor
    """(N,) int64, how many frames of each are real"""
    sound: Tensor
    """(N, S) float32 in [-1, 1]"""
    has_audio: Tensor
    """(N,) bool, whether there is sound"""


def whole(slices: Slices[Tensor]) -> Clips:
    """Slices as they are, without augmentation.

    Args:
        slices: N of them.
    """
    return Clips(to_clips(slices.frames), slices.lengths, to_waveform(slices.sound), slices.has_audio)


def to_clips(frames: Tensor) -> Tensor:
    """Whole frames as model input.

    Args:
        frames: (N, T, H, W, 3) uint8.

    Returns:
        (N, 3, T, H, W) float32 in [0, 1], stored channels-last.
    """
    return frames.float().div_(255).permute(0, 4, 1, 2, 3)


def to_waveform(sound: Tensor) -> Tensor:
    """Recorded samples as model input.

    Args:
        sound: (N, S) int16.

    Returns:
        (N, S) float32 in [-1, 1].
    """
    return sound.float() / 2**15
