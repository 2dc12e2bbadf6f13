"""Parameters and operations of an encoder, counted without computing anything."""

from typing import NamedTuple

import torch
from torch.utils.flop_counter import FlopCounterMode

from sora_video.configs.parts import EncoderConfig
from sora_video.pretrain.video.sound import RATE

from .registry import build_encoder

__all__ = ["Cost", "encoder_cost"]


class Cost(NamedTuple):
    """Size and work of an encoder."""

    parameters: int
    dim: int
    """Features of a slice, D."""
    flops: int
    """Operations to embed one slice, with a second of sound where it has an audio branch; a multiply-add
    is two."""


def encoder_cost(config: EncoderConfig, frames: int, size: int) -> Cost:
    """Count an encoder's parameters, features and operations.

    Args:
        config: which network, and what it sees.
        frames: frames of a slice, T.
        size: side of a frame in pixels.

    Returns:
        The counts.

    Raises:
        ConfigError: no network has this name.
    """
    with torch.device("meta"), torch.inference_mode(), FlopCounterMode(display=False) as counter:
        encoder = build_encoder(config, seed=0).eval()
        encoder(torch.empty(1, 3, frames, size, size), sound=torch.empty(1, RATE))
    parameters = sum(weight.numel() for weight in encoder.parameters())
    return Cost(parameters, encoder.dim, counter.get_total_flops())
