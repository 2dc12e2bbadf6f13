"""The multi-scale Sora encoder: parallel 3D convolutions of several kernel sizes, fused over time."""

from collections.abc import Iterable
from itertools import pairwise
from typing import Annotated

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from sora_video.configs.parts import EncoderConfig
from sora_video.configs.section import Section

from .conv import PaddedConv3d
from .streams import TrunkFeatures, TrunkModule
from .temporal import AttentionPool, Recurrent, TimeConfig

__all__ = ["SoraMultiscale", "SoraMultiscaleConfig"]


Kernel = Annotated[int, Field(ge=1, le=15)]


class ScalesConfig(Section):
    """The parallel 3D convolutions, and how they are fused."""

    kernels: Annotated[tuple[Kernel, ...], Field(min_length=1, max_length=8)] = (3, 5)
    """Sides of the kernels, one branch each; odd."""
    recurrent: bool = True
    """Whether a recurrent network reads each branch over time."""
    normalise: bool = True
    """Whether the concatenated branches are layer-normalised."""
    transform: bool = True
    """Whether a linear layer mixes them after that."""

    @model_validator(mode="after")
    def _kernels_are_odd(self) -> "ScalesConfig":
        if any(kernel % 2 == 0 for kernel in self.kernels):
            raise ValueError(f"encoder.scales.kernels={list(self.kernels)}: must be odd")
        return self


class SoraMultiscaleConfig(EncoderConfig):
    """Settings of sora_multiscale."""

    width: Annotated[int, Field(ge=4, le=1024)] = 16
    """Channels of the stem; each of the three layers of a branch doubles it."""
    time: TimeConfig = TimeConfig()
    scales: ScalesConfig = ScalesConfig()


class SoraMultiscale(TrunkModule):
    """A shared stem, then a branch for each kernel size; fusion at every moment, attention over moments.

    Each branch is three 3D convolutions that halve the picture and keep time, pooled over space and read by
    an LSTM or GRU. Fusion is, in this order: the branches' states of a moment are concatenated,
    layer-normalised and transformed by a linear layer. Multiple receptive fields side by side are those of
    Szegedy et al., Going Deeper with Convolutions, 2015.

    Args:
        config: width, kernel sizes, what happens over time, and which steps of the fusion are applied.
    """

    settings = SoraMultiscaleConfig

    def __init__(self, config: SoraMultiscaleConfig) -> None:
        super().__init__()
        scales, width = config.scales, config.width
        self.stem = Convolution(3, width, (3, 7, 7))
        branches = [Branch(width, kernel, config) for kernel in scales.kernels]
        self.branches = nn.ModuleList(branches)
        total = sum(branch.dim for branch in branches)
        self.normalise = nn.LayerNorm(total) if scales.normalise else nn.Identity()
        self.dim = 8 * width if scales.transform else total
        self.transform = nn.Linear(total, self.dim) if scales.transform else nn.Identity()
        self.pool = AttentionPool(self.dim, config.time.attention)

    def forward(self, clips: Tensor, lengths: Tensor | None) -> TrunkFeatures:
        """Embed clips.

        Args:
            clips: (N, 3, T, H, W), standardised.
            lengths: (N,) how many frames of each are real, at least one; None: all.

        Returns:
            (N, ``dim``) features, (N, T) attention, and the states as moments.
        """
        shared = self.stem(cut(clips, lengths))
        states = torch.cat([branch(shared, lengths) for branch in self.branches], dim=2)
        states = self.transform(self.normalise(states))
        pooled, weights = self.pool(states, lengths)
        return TrunkFeatures(pooled, weights, states if self.gives_moments else None)

    def parts(self) -> Iterable[nn.Module]:
        """The convolutions, stem first."""
        yield self.stem
        yield from (part for part in self.branches.modules() if isinstance(part, Convolution))


class Branch(nn.Module):
    """One kernel size.

    Args:
        width: input channels; the convolutions have 8 times as many outputs.
        kernel: side of the kernels in time and space.
        config: whether and how the branch is read over time.
    """

    def __init__(self, width: int, kernel: int, config: SoraMultiscaleConfig) -> None:
        super().__init__()
        widths = [width, 2 * width, 4 * width, 8 * width]
        self.layers = nn.Sequential(
            *(Convolution(inputs, outputs, (kernel,) * 3) for inputs, outputs in pairwise(widths))
        )
        self.time = Recurrent(widths[-1], widths[-1], config.time) if config.scales.recurrent else None
        self.dim = self.time.dim if self.time else widths[-1]

    def forward(self, clips: Tensor, lengths: Tensor | None) -> Tensor:
        """(N, C, T, H, W) to (N, T, ``dim``)."""
        for layer in self.layers:
            clips = layer(cut(clips, lengths))
        features = clips.mean((3, 4)).transpose(1, 2)
        return self.time(features, lengths) if self.time else features


class Convolution(nn.Sequential):
    """Halve the picture; keep time."""

    def __init__(self, inputs: int, outputs: int, kernel: tuple[int, int, int]) -> None:
        time, height, width = (side // 2 for side in kernel)
        super().__init__(
            PaddedConv3d(inputs, outputs, kernel, (1, 2, 2), (time, height, width), bias=False),
            nn.BatchNorm3d(outputs),
            nn.ReLU(inplace=True),
        )


def cut(clips: Tensor, lengths: Tensor | None) -> Tensor:
    """(N, C, T, H, W) with zeros, as a convolution pads, past the real moments."""
    if lengths is None:
        return clips
    there = torch.arange(clips.shape[2], device=clips.device) < lengths[:, None]
    return clips * there[:, None, :, None, None]
