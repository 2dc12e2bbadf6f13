"""Encoders of single frames, pooled over time: what they show, and how it changes."""

from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool2d, normalize

from sora_video.base.errors import ConfigError
from sora_video.configs.parts import EncoderConfig

from .frame_nets import FrameNet, build_frame_net
from .streams import TrunkFeatures, TrunkModule

__all__ = ["Frames", "FramesConfig"]


class FramesConfig(EncoderConfig):
    """Settings of frames."""

    input: Literal["rgb", "residual", "both"] = "rgb"
    frame: str = "resnet18"
    """The network over single frames: resnet18, or KIND:NAME of a published frame model."""
    architecture: Mapping[str, Any] = Field(default_factory=dict)
    """Settings of the network over frames, as its library writes them."""
    pool: Literal["mean", "motion", "mean+motion"] = "mean"
    """Over time: the mean of the frames' features, the mean absolute difference of consecutive ones, or both,
    each normalised."""
    depths: tuple[Annotated[int, Field(ge=0)], ...] = ()
    """Stages whose feature maps stand for a frame, in place of its features; 0 is the first. Each is averaged
    over the picture, after differences are taken, and normalised by itself."""
    cells: Annotated[int, Field(ge=1, le=16)] = 1
    """Maps are averaged over each of cells x cells parts of the picture, so that it counts where something
    is; 1: over the whole picture."""


class Frames(TrunkModule):
    """Features of single frames, pooled over time.

    The mean of frame features is the baseline of Wang et al., Temporal Segment Networks, 2016. Motion is the
    mean absolute difference of consecutive frames, of features or of feature maps.

    Args:
        config: the network over frames and the pooling.
    """

    settings = FramesConfig

    def __init__(self, config: FramesConfig) -> None:
        super().__init__()
        self.net = build_frame_net(config.frame, config.architecture)
        self.depths, self.cells = check_depths(config, self.net), config.cells
        self.pools = [POOLS[name] for name in config.pool.split("+")]
        dims = [self.net.map_dims[depth] * self.cells**2 for depth in self.depths] or [self.net.dim]
        self.dim = len(self.pools) * sum(dims)

    def forward(self, clips: Tensor, lengths: Tensor | None) -> TrunkFeatures:
        """Embed clips.

        Args:
            clips: (N, 3, T, H, W), standardised.
            lengths: (N,) how many frames of each are real, at least one; None: all.

        Returns:
            (N, ``dim``) features, no attention, and the frames' own features as moments.
        """
        count, _, time, _, _ = clips.shape
        vectors, maps = self.net(clips.transpose(1, 2).flatten(0, 1))
        vectors = vectors.unflatten(0, (count, time))
        there = torch.arange(time, device=clips.device) < (
            lengths[:, None] if lengths is not None else clips.new_full((count, 1), time)
        )
        seen = [maps[depth].unflatten(0, (count, time)) for depth in self.depths] or [vectors]
        parts = [pool(frames, there, self.cells) for pool in self.pools for frames in seen]
        features = parts[0] if len(parts) == 1 else torch.cat([normalize(part, dim=1) for part in parts], 1)
        moments = [in_cells(frames, self.cells) for frames in seen] if self.gives_moments else []
        return TrunkFeatures(features, moments=torch.cat(moments, 2) if moments else None)

    def parts(self) -> Iterable[nn.Module]:
        """The stages of the network over frames."""
        return self.net.parts()


def check_depths(config: FramesConfig, net: FrameNet) -> tuple[int, ...]:
    """The depths, where the network has them all and the cells are used.

    Raises:
        ConfigError: it has no such stage, or cells are named without stages.
    """
    stages = len(net.map_dims)
    if any(depth >= stages for depth in config.depths):
        has = f"has stages 0 to {stages - 1}; name some of them" if stages else "shows no maps; leave it out"
        raise ConfigError(f"encoder.depths={list(config.depths)}: {config.frame} {has}")
    if config.cells > 1 and not config.depths:
        raise ConfigError(
            f"encoder.cells={config.cells}: needs encoder.depths, the stages whose maps have parts"
        )
    return config.depths


def mean(maps: Tensor, there: Tensor, cells: int) -> Tensor:
    """(N, D) mean over the real ones of (N, T, C), or of (N, T, C, h, w) in each cell of the picture."""
    weights = there.to(maps.dtype)
    return torch.einsum("ntd,nt->nd", in_cells(maps, cells), weights / weights.sum(1, keepdim=True))


def motion(maps: Tensor, there: Tensor, cells: int) -> Tensor:
    """The same of the absolute differences of consecutive ones; 0 of a single one."""
    both = there[:, 1:].to(maps.dtype)
    changes = in_cells((maps[:, 1:] - maps[:, :-1]).abs(), cells)
    return torch.einsum("ntd,nt->nd", changes, both / both.sum(1, keepdim=True).clamp(min=1))


def in_cells(maps: Tensor, cells: int) -> Tensor:
    """(N, T, C * cells * cells) means over the cells of (N, T, C, h, w); (N, T, C) as it is."""
    if maps.ndim == 3:
        return maps
    if cells == 1:
        return maps.mean((3, 4))
    means = adaptive_avg_pool2d(maps.flatten(0, 1), cells)
    return means.reshape(*maps.shape[:2], maps.shape[2] * cells**2)


POOLS = {"mean": mean, "motion": motion}
