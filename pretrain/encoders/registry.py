"""The one list of encoders."""

from collections.abc import Callable

import torch
from torch import nn

from sora_video.configs.schema import EncoderConfig, EncoderName, VisualName

from .checkpoint import recompute
from .multiscale import SoraMultiscale
from .r3d_tiny import R3DTiny
from .sora import Sora
from .sora_av import SoraAV
from .streams import SliceEncoder, TrunkModule
from .torchvision_nets import TorchvisionNet

__all__ = ["Encoder", "build_encoder", "names"]

Encoder = SliceEncoder | SoraAV

TRUNKS: dict[VisualName, Callable[[EncoderConfig], TrunkModule]] = {
    "r3d_tiny": lambda config: R3DTiny(config.width),
    "sora": Sora,
    "sora_multiscale": SoraMultiscale,
    "r3d_18": lambda _: TorchvisionNet("r3d_18"),
    "mc3_18": lambda _: TorchvisionNet("mc3_18"),
    "r2plus1d_18": lambda _: TorchvisionNet("r2plus1d_18"),
    "s3d": lambda _: TorchvisionNet("s3d"),
    "mvit_v2_s": lambda _: TorchvisionNet("mvit_v2_s"),
    "swin3d_t": lambda _: TorchvisionNet("swin3d_t"),
}


def names() -> list[EncoderName]:
    """Names that ``encoder.name`` may take."""
    return [*TRUNKS, "sora_av"]


def build_encoder(config: EncoderConfig, seed: int) -> Encoder:
    """Build an encoder with random weights.

    Args:
        config: which network, and what it sees.
        seed: decides the weights; torch's own random state is left alone.

    Returns:
        The encoder, in training mode, stored channels-last.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        if config.name == "sora_av":
            encoder: Encoder = SoraAV(config, build_sight(config.av.visual, config))
        else:
            encoder = build_sight(config.name, config)
    store_channels_last(encoder)
    return encoder


def build_sight(name: VisualName, config: EncoderConfig) -> SliceEncoder:
    """Build a network that sees, one a stream."""

    def make_trunk() -> TrunkModule:
        trunk = TRUNKS[name](config)
        if config.checkpoint:
            for part in trunk.parts():
                recompute(part)
        return trunk

    return SliceEncoder(config.input, make_trunk)


def store_channels_last(module: nn.Module) -> None:
    """Lay out convolution weights so that 2D and 3D convolutions run channels-last."""
    formats = {4: torch.channels_last, 5: torch.channels_last_3d}
    for weight in module.parameters():
        if weight.ndim in formats:
            weight.data = weight.data.contiguous(memory_format=formats[weight.ndim])
