"""Features of the stages of a network side by side, over the slice or over parts of the picture."""

from collections.abc import Sequence
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d, normalize

from sora_video.configs.parts import EncoderConfig

__all__ = ["StagesConfig", "dim_of_stages", "join_stages"]

LAST = 4
"""The last of the stem, 0, and the four stages."""


class StagesConfig(EncoderConfig):
    """Settings of networks of a stem and four stages."""

    depths: tuple[Annotated[int, Field(ge=0, le=LAST)], ...] = ()
    """Stages whose feature maps stand for a slice, in place of the last one's alone: 0 is the stem, 4 the
    last stage. Each is averaged over the slice and normalised by itself."""
    cells: Annotated[int, Field(ge=1, le=16)] = 1
    """Maps are averaged over each of cells x cells parts of the picture, so that it counts where something
    is; 1: over the whole picture."""


def dim_of_stages(config: StagesConfig, channels: Sequence[int]) -> int:
    """How many features :func:`join_stages` gives.

    Args:
        config: which stages, and over what they are averaged.
        channels: of the maps of the stem and each stage.
    """
    return config.cells**2 * sum(channels[depth] for depth in config.depths or [LAST])


def join_stages(maps: Sequence[Tensor], config: StagesConfig) -> Tensor:
    """Average the feature maps of some stages, and put them side by side.

    These are the hypercolumns of Hariharan et al., Hypercolumns for Object Segmentation and Fine-grained
    Localization, 2015, averaged over the slice.

    Args:
        maps: (N, C, T, H, W) of the stem and each stage.
        config: which stages, and over what they are averaged.

    Returns:
        (N, D) features, those of each of several stages of length 1.
    """
    parts = [over_slice(maps[depth], config.cells) for depth in config.depths or [LAST]]
    return parts[0] if len(parts) == 1 else torch.cat([normalize(part, dim=1) for part in parts], 1)


def over_slice(maps: Tensor, cells: int) -> Tensor:
    """(N, C * cells * cells) means of (N, C, T, H, W) over time and each cell of the picture."""
    if cells == 1:
        return maps.mean((2, 3, 4))
    return adaptive_avg_pool2d(maps.mean(2), cells).flatten(1)
