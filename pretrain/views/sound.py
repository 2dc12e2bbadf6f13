"""Random views of sound: drawn per view on the CPU, applied to whole batches on the model's device.

Louder or softer, with a band of pitches and a stretch of time silenced (after Park et al., SpecAugment, 2019,
here on the waveform, so that whatever spectrogram a network computes sees the same).
"""

import torch
from torch import Tensor

__all__ = ["apply_sound_views"]


def apply_sound_views(waveform: Tensor, views: Tensor) -> Tensor:
    """Make one view of the sound of each slice, on the device that holds it.

    Args:
        waveform: (N, S) float32 in [-1, 1]; nothing happens where S is 0.
        views: (N, ``SOUND_FIELDS``) float32 from :func:`draw_sound_view`.

    Returns:
        (N, S) float32.
    """
    size = waveform.shape[1]
    if size == 0:
        return waveform
    factor, low, high, start, end = (field[:, None] for field in views.unbind(1))
    spectrum = torch.fft.rfft(waveform * factor)
    pitch = torch.linspace(0, 1, spectrum.shape[1], device=waveform.device)
    passed = torch.fft.irfft(spectrum * ~((low <= pitch) & (pitch < high)), size)
    moment = (torch.arange(size, device=waveform.device) + 0.5) / size
    view: Tensor = passed * ~((start <= moment) & (moment < end))
    return view
