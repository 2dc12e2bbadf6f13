"""From a config to an encoder; the list of encoders is :data:`sora_video.configs.parts.ENCODERS`."""

from typing import Any

import torch
from torch import nn

from sora_video.configs.parts import ENCODERS, EncoderConfig

from .sora_av import SoraAV
from .streams import SliceEncoder

__all__ = ["Encoder", "build_encoder", "encoder_config", "encoder_names"]

Encoder = SliceEncoder | SoraAV


def encoder_names() -> list[str]:
    """Names of the encoders that can be built from their defaults, which leaves out some published ones."""
    return [name for name in ENCODERS.names() if not ENCODERS.load(name).settings.needs_architecture]


def encoder_config(name: str, **settings: Any) -> EncoderConfig:
    """Settings of an encoder.

    Args:
        name: which network.
        settings: of it, those that differ from their defaults.

    Returns:
        An instance of the network's settings model.

    Raises:
        ConfigError: no network has this name.
        ValueError: the network does not have one of the settings, or a value is out of range.
    """
    config: EncoderConfig = EncoderConfig.resolve({"name": name, **settings})
    return config


def build_encoder(config: EncoderConfig, seed: int) -> Encoder:
    """Build an encoder with random weights.

    Args:
        config: which network, and its settings.
        seed: decides the weights; torch's own random state is left alone.

    Returns:
        The encoder, in training mode, stored channels-last.

    Raises:
        ConfigError: no network has this name.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        encoder: Encoder = ENCODERS.load(config.name).build(config)
    store_channels_last(encoder)
    return encoder


def store_channels_last(module: nn.Module) -> None:
    """Lay out convolution weights so that 2D and 3D convolutions run channels-last."""
    formats = {4: torch.channels_last, 5: torch.channels_last_3d}
    for weight in module.parameters():
        if weight.ndim in formats:
            weight.data = weight.data.contiguous(memory_format=formats[weight.ndim])
