"""The Sora encoder: frame features, a recurrent network over time, attention over its states."""

from collections.abc import Iterable, Mapping
from typing import Annotated, Any

import torch
from pydantic import Field, field_validator
from torch import Tensor, nn
from torchvision.models import resnet18

from sora_video.configs.parts import EncoderConfig

from .frame_nets import FRAMES, FrameNet, build_frame_net
from .streams import FrameTrunk, TrunkFeatures
from .temporal import AttentionPool, Recurrent, TimeConfig

__all__ = ["Sora", "SoraConfig"]


class MixedTimeConfig(TimeConfig):
    """What happens over time, with the choice to keep the frames' own features."""

    mix: bool = False
    """Blend the frames' own features into the states, by a learned share for each channel."""


class SoraConfig(EncoderConfig):
    """Settings of sora."""

    width: Annotated[int, Field(ge=4, le=1024)] = 16
    """Channels of the small frame CNN's first stage; each later stage doubles it. Over a published frame
    model the recurrent network has 8 times as many states."""
    frame: str = "small"
    """The network over single frames: four strided convolutions (small), torchvision's ResNet-18 (resnet18),
    or KIND:NAME of a published frame model, whose weights a run starts from and keeps."""
    architecture: Mapping[str, Any] = Field(default_factory=dict)
    """Settings of a published frame model, as its library writes them."""
    time: MixedTimeConfig = MixedTimeConfig()

    @field_validator("frame")
    @classmethod
    def _frame_is_known(cls, frame: str) -> str:
        kind, named, _ = frame.partition(":")
        if frame in ("small", "resnet18") or (named and kind in FRAMES.names()):
            return frame
        kinds = ", ".join(f"{kind}:NAME" for kind in FRAMES.names() if kind != "resnet18")
        raise ValueError(
            f"encoder.frame={frame}: must be small, resnet18 or a published frame model: {kinds}"
        )


class Sora(FrameTrunk):
    """Per-frame CNN, features stacked in time order, LSTM or GRU, temporal attention pooling.

    After Donahue et al., Long-term Recurrent Convolutional Networks for Visual Recognition and Description,
    2015. With ``time.mix`` the pooled states h are blended with the frames' features f, channel by channel,
    as (1 - g) f + g W h with a learned g in (0, 1).

    Args:
        config: the frame CNN, its width, and what happens over time.
    """

    settings = SoraConfig

    def __init__(self, config: SoraConfig) -> None:
        super().__init__()
        self.frame, frame_dim, states = make_frame_net(config)
        self.time = Recurrent(frame_dim, states, config.time)
        self.mix = Mix(self.time.dim, frame_dim) if config.time.mix else None
        self.dim = frame_dim if self.mix else self.time.dim
        self.pool = AttentionPool(self.dim, config.time.attention)
        self.register_load_state_dict_pre_hook(take_first_names)  # type: ignore[no-untyped-call]

    def over_time(self, features: Tensor, lengths: Tensor | None) -> TrunkFeatures:
        """See :class:`.streams.FrameTrunk`; attention is (N, T), and moments are the states."""
        states = self.time(features, lengths)
        if self.mix:
            states = self.mix(features, states)
        pooled, weights = self.pool(states, lengths)
        return TrunkFeatures(pooled, weights, states if self.gives_moments else None)

    def frame_features(self, frames: Tensor) -> Tensor:
        """See :class:`.streams.FrameTrunk`."""
        shown = self.frame(frames)
        features: Tensor = shown[0] if isinstance(self.frame, FrameNet) else shown.mean((2, 3))
        return features

    def parts(self) -> Iterable[nn.Module]:
        """The stages of the frame CNN; a published frame model is one part."""
        frame = self.frame
        return iter(frame) if isinstance(frame, nn.Sequential) else (frame,)


class Mix(nn.Module):
    """A learned blend of two paths, with a share for each channel."""

    def __init__(self, states: int, features: int) -> None:
        super().__init__()
        self.project = nn.Linear(states, features)
        self.share = nn.Parameter(torch.zeros(features))

    def forward(self, features: Tensor, states: Tensor) -> Tensor:
        """(N, T, F) features and (N, T, S) states to (N, T, F)."""
        share = self.share.sigmoid()
        mixed: Tensor = (1 - share) * features + share * self.project(states)
        return mixed


def take_first_names(_: nn.Module, weights: dict[str, Any], prefix: str, *__: Any) -> None:
    """Take weights of the first version too, whose LSTM was ``time`` itself and whose attention ``score``."""
    for name in [name for name in weights if name.startswith((f"{prefix}time.", f"{prefix}score."))]:
        part, rest = name.removeprefix(prefix).split(".", 1)
        if part == "score":
            weights[f"{prefix}pool.score.{rest}"] = weights.pop(name)
        elif not rest.startswith("cells."):
            weights[f"{prefix}time.cells.{rest}"] = weights.pop(name)


def make_frame_net(config: SoraConfig) -> tuple[nn.Sequential | FrameNet, int, int]:
    """The network over single frames, its features D, and the states of the recurrent network over them.

    The two own CNNs take (M, 3, H, W) to (M, D, H', W').
    """
    if config.frame == "resnet18":
        *stages, _, _ = resnet18(weights=None).children()
        return nn.Sequential(nn.Sequential(*stages[:4]), *stages[4:]), 512, 512
    widths = [3, *(config.width * 2**number for number in range(4))]
    if config.frame == "small":
        return nn.Sequential(*map(stage, widths, widths[1:])), widths[-1], widths[-1]
    net = build_frame_net(config.frame, config.architecture)
    return net, net.dim, widths[-1]


def stage(inputs: int, outputs: int) -> nn.Sequential:
    """Halve the picture."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, 2, 1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)
    )
