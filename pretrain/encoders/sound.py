"""The audio branch: log-mel spectrogram, convolutions, a recurrent network, attention over time."""

from typing import Annotated, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor, nn
from torch.nn.functional import gelu, pad

from sora_video.configs.parts import EncoderConfig
from sora_video.configs.section import Section
from sora_video.pretrain.video.sound import RATE

from .temporal import AttentionPool, Recurrent, TimeConfig

__all__ = ["FFT", "AVConfig", "LogMel", "SoundBranch", "SoundConfig", "mel_filters"]


class AVConfig(Section):
    """Sight, sound, and how they are fused."""

    visual: str = "r3d_tiny"
    """The network over frames: any encoder without an audio branch."""
    fusion: Literal["concat", "average", "weighted", "attention"] = "concat"
    """concat: side by side; average: their mean; weighted: by learned gates; attention: each attends to the
    other. A sense that is missing is ignored."""
    dim: Annotated[int, Field(ge=8, le=8192, multiple_of=8)] = 128
    """Features of each sense before they are fused."""
    mels: Annotated[int, Field(ge=8, le=256)] = 64
    """Bands of the spectrogram."""


class SoundConfig(EncoderConfig):
    """Settings of an encoder with an audio branch."""

    time: TimeConfig = TimeConfig()
    av: AVConfig = AVConfig()


WINDOW, HOP, FFT = 400, 160, 512
"""Samples of a window (25 ms), from one to the next (10 ms), and of the transform."""
FLOOR = 1e-6
MEAN, STD = -7.0, 4.0
"""Of log-mel energies of recorded sound, about."""


def mel_filters(mels: int) -> NDArray[np.float64]:
    """Triangular filters, evenly spread over the mel scale up to half the sample rate, of equal area.

    The mel scale is Slaney's (Auditory Toolbox, 1998): linear below 1 kHz, logarithmic above.

    Args:
        mels: how many bands.

    Returns:
        (mels, FFT / 2 + 1) weights of the spectrum's lines.
    """
    step = np.log(6.4) / 27  # of the logarithmic part, which starts at mel 15
    edges = np.linspace(0, 15 + np.log(RATE / 2 / 1000) / step, mels + 2)
    edges = np.where(edges < 15, edges * 200 / 3, 1000 * np.exp((edges - 15) * step))[:, None]
    lines = np.arange(FFT // 2 + 1) * RATE / FFT
    rise = (lines - edges[:-2]) / (edges[1:-1] - edges[:-2])
    fall = (edges[2:] - lines) / (edges[2:] - edges[1:-1])
    weights: NDArray[np.float64] = np.minimum(rise, fall).clip(min=0) * 2 / (edges[2:] - edges[:-2])
    return weights


class LogMel(nn.Module):
    """The logarithm of mel energies of windows of 25 ms, 10 ms apart, about standardised.

    Args:
        mels: bands.
    """

    filters: Tensor
    window: Tensor

    def __init__(self, mels: int) -> None:
        super().__init__()
        # not part of the state, for they follow from the settings
        self.register_buffer("filters", torch.from_numpy(mel_filters(mels)).float(), persistent=False)
        self.register_buffer("window", torch.hann_window(WINDOW), persistent=False)

    def forward(self, sound: Tensor) -> Tensor:
        """Compute log-mel energies, in float32 whatever the precision around.

        Args:
            sound: (N, S) samples in [-1, 1].

        Returns:
            (N, mels, windows), standardised.
        """
        device = "cpu" if sound.device.type == "meta" else sound.device.type  # where costs are counted
        with torch.autocast(device, enabled=False):
            spectrum = torch.stft(
                sound.float(), FFT, HOP, WINDOW, self.window, center=False, return_complex=True
            )
            energy = self.filters @ spectrum.abs().square()
            return (energy.add(FLOOR).log() - MEAN) / STD


class Halve(nn.Module):
    """A convolution that halves time, normalised over channels.

    It pads by hand, for the reason that :class:`.conv.PaddedConv3d` has.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv1d(inputs, outputs, 5, 2), nn.LayerNorm(outputs)

    def forward(self, sound: Tensor) -> Tensor:
        """(N, C, T) to (N, C', T / 2)."""
        return gelu(self.norm(self.conv(pad(sound, (2, 2))).transpose(1, 2))).transpose(1, 2)


class SoundBranch(nn.Module):
    """Spectrogram, two convolutions to 25 moments a second, LSTM or GRU, temporal attention pooling.

    Nothing in it depends on other slices of a batch, so that slices without sound change nothing.

    Args:
        config: features, bands, and what happens over time.
    """

    def __init__(self, config: SoundConfig) -> None:
        super().__init__()
        dim = config.av.dim
        self.layers = nn.Sequential(LogMel(config.av.mels), Halve(config.av.mels, dim), Halve(dim, dim))
        self.time = Recurrent(dim, dim, config.time)
        self.dim = self.time.dim
        self.pool = AttentionPool(self.dim, config.time.attention)

    def forward(self, sound: Tensor) -> tuple[Tensor, Tensor]:
        """Embed sound.

        Args:
            sound: (N, S) samples in [-1, 1].

        Returns:
            (N, ``dim``) features and (N, M, ``dim``) states of M moments.
        """
        states = self.time(self.layers(sound).transpose(1, 2), None)
        return self.pool(states, None)[0], states
