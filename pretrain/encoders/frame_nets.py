"""Networks over single frames: the small ones that are trained from nothing, and published ones."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from typing import Any

from torch import Tensor, nn
from torchvision.models import resnet18

from sora_video.base.registry import Registry

__all__ = ["FRAMES", "FrameFeatures", "FrameNet", "build_frame_net"]

FRAMES = Registry(
    "encoder.frame",
    "sora_video.frames",
    {
        "resnet18": "sora_video.pretrain.encoders.frame_nets:make_resnet18",
        "package": "sora_video.pretrain.encoders.published.package:frame_net",
        "hf": "sora_video.pretrain.encoders.published.hf_nets:frame_net",
        "timm": "sora_video.pretrain.encoders.published.timm:frame_net",
        "open_clip": "sora_video.pretrain.encoders.published.open_clip:frame_net",
    },
)
"""Networks over single frames: functions of the name behind the colon, and of the architecture's settings."""

FrameFeatures = tuple[Tensor, tuple[Tensor, ...]]
"""(M, D) features of M frames, and the feature maps (M, C, h, w) of each stage."""


class FrameNet(nn.Module, ABC):
    """Base of networks over single frames; a subclass sets ``dim`` and ``map_dims``.

    Its ``forward`` takes (M, 3, H, W) standardised frames and returns :data:`FrameFeatures`.
    """

    dim: int
    """Features of a frame, D."""
    map_dims: tuple[int, ...] = ()
    """Channels of the feature maps of each stage, from the input to the output."""

    @abstractmethod
    def parts(self) -> Iterable[nn.Module]:
        """The submodules that hold nearly all activations, in order; none contains another."""


class StagedNet(FrameNet):
    """A CNN as a sequence of stages; its features are the mean of the last map.

    Args:
        stages: in order.
        map_dims: channels that each gives.
    """

    def __init__(self, stages: Iterable[nn.Module], map_dims: tuple[int, ...]) -> None:
        super().__init__()
        self.stages = nn.ModuleList(stages)
        self.map_dims, self.dim = map_dims, map_dims[-1]

    def forward(self, frames: Tensor) -> FrameFeatures:
        """See :class:`FrameNet`."""
        maps = []
        for stage in self.stages:
            frames = stage(frames)
            maps.append(frames)
        return frames.mean((2, 3)), tuple(maps)

    def parts(self) -> Iterable[nn.Module]:
        """The stages."""
        return self.stages


def make_resnet18(name: str, architecture: Mapping[str, Any]) -> StagedNet:  # noqa: ARG001
    """ResNet-18 without its classifier (He et al., Deep Residual Learning, 2015)."""
    *layers, _, _ = resnet18(weights=None).children()
    return StagedNet([nn.Sequential(*layers[:4]), *layers[4:]], (64, 64, 128, 256, 512))


def build_frame_net(name: str, architecture: Mapping[str, Any]) -> FrameNet:
    """A network over frames with random weights.

    Args:
        name: ``"resnet18"``, or ``KIND:NAME`` of a published frame model.
        architecture: its settings, as its library writes them.

    Raises:
        ConfigError: there is no such network, or the package that has it is missing.
    """
    kind, _, model = name.partition(":")
    made: FrameNet = FRAMES.load(kind)(model, architecture)
    return made
