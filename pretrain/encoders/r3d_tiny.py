"""A small 3D ResNet for processors without a GPU."""

from collections.abc import Iterable
from typing import Annotated

from pydantic import Field
from torch import Tensor, nn

from .conv import PaddedConv3d
from .moments import moments_of, run_stages
from .stages import StagesConfig, dim_of_stages, join_stages
from .streams import TrunkFeatures, TrunkModule

__all__ = ["R3DTiny", "R3DTinyConfig"]


class R3DTinyConfig(StagesConfig):
    """Settings of r3d_tiny."""

    width: Annotated[int, Field(ge=4, le=1024)] = 16
    """Channels of the first stage; the four stages have 1, 2, 4 and 8 times as many."""


class Block(nn.Module):
    """Two 3x3x3 convolutions and a shortcut."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            PaddedConv3d(inputs, outputs, 3, stride, 1, bias=False),
            nn.BatchNorm3d(outputs),
            nn.ReLU(inplace=True),
            PaddedConv3d(outputs, outputs, 3, 1, 1, bias=False),
            nn.BatchNorm3d(outputs),
        )
        self.shortcut = (
            nn.Identity()
            if inputs == outputs and stride == 1
            else nn.Sequential(nn.Conv3d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm3d(outputs))
        )
        self.activation = nn.ReLU(inplace=True)

    def forward(self, clips: Tensor) -> Tensor:
        """(N, C, T, H, W) to (N, C', T', H', W')."""
        activated: Tensor = self.activation(self.body(clips) + self.shortcut(clips))
        return activated


class R3DTiny(TrunkModule):
    """R3D with one block a stage (after Tran et al., A Closer Look at Spatiotemporal Convolutions, 2018).

    Args:
        config: the width, and which stages stand for a slice.
    """

    settings = R3DTinyConfig

    def __init__(self, config: R3DTinyConfig) -> None:
        super().__init__()
        self.config, width = config, config.width
        self.dim = dim_of_stages(config, [width, width, 2 * width, 4 * width, 8 * width])
        self.stem = nn.Sequential(
            PaddedConv3d(3, width, (3, 7, 7), (1, 2, 2), (1, 3, 3), bias=False),
            nn.BatchNorm3d(width),
            nn.ReLU(inplace=True),
        )
        self.stages = nn.Sequential(
            Block(width, width, 1),
            Block(width, 2 * width, 2),
            Block(2 * width, 4 * width, 2),
            Block(4 * width, 8 * width, 2),
        )

    def forward(self, clips: Tensor, lengths: Tensor | None) -> TrunkFeatures:  # noqa: ARG002
        """Embed clips.

        Args:
            clips: (N, 3, T, H, W), standardised.
            lengths: are ignored.

        Returns:
            (N, ``dim``) features, no attention, and the moments of a stage (see :mod:`.moments`).
        """
        maps = run_stages(self.parts(), clips)
        moments = moments_of(maps) if self.gives_moments else None
        return TrunkFeatures(join_stages(maps, self.config), moments=moments)

    def parts(self) -> Iterable[nn.Module]:
        """Stem and stages."""
        return self.stem, *self.stages
