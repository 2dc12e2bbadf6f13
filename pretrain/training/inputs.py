"""From decoded slices to the views that an encoder is trained on."""

import torch
from torch import Tensor

from sora_video.pretrain.encoders.inputs import Clips, to_waveform
from sora_video.pretrain.video.slices import Slices
from sora_video.pretrain.views.copies import apply_copies
from sora_video.pretrain.views.draw import Views
from sora_video.pretrain.views.picture import apply_views
from sora_video.pretrain.views.sound import apply_sound_views

__all__ = ["kept", "view"]


def view(slices: Slices[Tensor], views: Views[Tensor], size: int, dtype: torch.dtype) -> Clips:
    """Views of N slices, made on the device that holds them.

    Args:
        slices: with the one axis N.
        views: with the same.
        size: side of a view in pixels.
        dtype: arithmetic of the pictures' augmentation.
    """
    clips = apply_copies(apply_views(slices.frames, views.picture, size, dtype), views.copy, dtype)
    return Clips(
        clips, slices.lengths, apply_sound_views(to_waveform(slices.sound), views.sound), slices.has_audio
    )


def kept(slices: Slices[Tensor]) -> Clips:
    """Slices of which features are kept in place of frames, see :mod:`.kept`.

    Args:
        slices: N of them, with (N, T, D) features.
    """
    return Clips(slices.frames.float(), slices.lengths, to_waveform(slices.sound), slices.has_audio)
