"""The one list of encoders."""

from collections.abc import Callable

import torch
from torch import nn

from sora_video.configs.errors import ConfigError
from sora_video.configs.schema import EncoderConfig

from .r3d_tiny import R3DTiny
from .sora import Sora
from .streams import SliceEncoder, TrunkModule
from .video_resnet import R3D18

__all__ = ["build_encoder", "names"]

TRUNKS: dict[str, Callable[[EncoderConfig], TrunkModule]] = {
    "r3d_tiny": lambda config: R3DTiny(config.width),
    "r3d_18": lambda _: R3D18(),
    "sora": lambda config: Sora(config.width),
}


def names() -> list[str]:
    """Names that ``encoder.name`` may take."""
    return list(TRUNKS)


def build_encoder(config: EncoderConfig, seed: int) -> SliceEncoder:
    """Build an encoder with random weights.

    Args:
        config: which network, and what it sees.
        seed: decides the weights; torch's own random state is left alone.

    Returns:
        The encoder, in training mode, stored channels-last.

    Raises:
        ConfigError: there is no encoder of that name.
    """
    if config.name not in TRUNKS:
        raise ConfigError(f"encoder.name={config.name!r}: must be one of {', '.join(TRUNKS)}")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        encoder = SliceEncoder(config.input, lambda: TRUNKS[config.name](config))
    store_channels_last(encoder)
    return encoder


def store_channels_last(module: nn.Module) -> None:
    """Lay out convolution weights so that 2D and 3D convolutions run channels-last."""
    formats = {4: torch.channels_last, 5: torch.channels_last_3d}
    for weight in module.parameters():
        if weight.ndim in formats:
            weight.data = weight.data.contiguous(memory_format=formats[weight.ndim])
