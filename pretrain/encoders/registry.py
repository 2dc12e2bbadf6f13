"""The one list of encoders."""

from collections.abc import Callable

import torch
from torch import nn

from sora_video.configs.schema import EncoderConfig, EncoderName

from .checkpoint import recompute
from .r3d_tiny import R3DTiny
from .sora import Sora
from .streams import SliceEncoder, TrunkModule
from .torchvision_nets import TorchvisionNet

__all__ = ["build_encoder", "names"]

TRUNKS: dict[EncoderName, Callable[[EncoderConfig], TrunkModule]] = {
    "r3d_tiny": lambda config: R3DTiny(config.width),
    "sora": lambda config: Sora(config.width),
    "r3d_18": lambda config: TorchvisionNet(config.name),
    "mc3_18": lambda config: TorchvisionNet(config.name),
    "r2plus1d_18": lambda config: TorchvisionNet(config.name),
    "s3d": lambda config: TorchvisionNet(config.name),
    "mvit_v2_s": lambda config: TorchvisionNet(config.name),
    "swin3d_t": lambda config: TorchvisionNet(config.name),
}


def names() -> list[EncoderName]:
    """Names that ``encoder.name`` may take."""
    return list(TRUNKS)


def build_encoder(config: EncoderConfig, seed: int) -> SliceEncoder:
    """Build an encoder with random weights.

    Args:
        config: which network, and what it sees.
        seed: decides the weights; torch's own random state is left alone.

    Returns:
        The encoder, in training mode, stored channels-last.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        encoder = SliceEncoder(config.input, lambda: build_trunk(config))
    store_channels_last(encoder)
    return encoder


def build_trunk(config: EncoderConfig) -> TrunkModule:
    """Build the network over one stream."""
    trunk = TRUNKS[config.name](config)
    if config.checkpoint:
        for part in trunk.parts():
            recompute(part)
    return trunk


def store_channels_last(module: nn.Module) -> None:
    """Lay out convolution weights so that 2D and 3D convolutions run channels-last."""
    formats = {4: torch.channels_last, 5: torch.channels_last_3d}
    for weight in module.parameters():
        if weight.ndim in formats:
            weight.data = weight.data.contiguous(memory_format=formats[weight.ndim])
