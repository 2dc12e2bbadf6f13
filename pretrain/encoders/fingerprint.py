"""What makes two embeddings comparable, as one hash."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from sora_video.configs.parts import EncoderConfig
from sora_video.configs.sections import SliceConfig

__all__ = ["add_tensors", "fingerprint", "merged"]

FIRST = {"name", "input", "width"}
"""Settings of an encoder that have always been part of it; an encoder that has no width counts with the
default of version 0.1.0, which wrote one for every encoder."""


def fingerprint(weights: Mapping[str, Tensor], encoder: EncoderConfig, slices: SliceConfig) -> str:
    """SHA-256 over an encoder's weights and its preprocessing.

    How slices are spread over a video (``hop_s``, ``per_video``, ``max_gap_s``) is left out: it decides which
    slices are embedded, not what the embedding of a slice is. So are the encoder's settings of training.
    Settings that came later count where they differ from their defaults, which stand
    for what was before them, so that older fingerprints stay right; for the same reason, so do settings of a
    stored run that its encoder does not have, and the first revision of what a network computes.

    Args:
        weights: the encoder's state.
        encoder: which network, and what it sees.
        slices: how a slice becomes pixels.

    Returns:
        64 hexadecimal digits.
    """
    first = {"width": encoder.spelt_out["width"], **encoder.model_dump(include=FIRST)}
    later = encoder.model_dump(exclude={*FIRST, *encoder.of_training}, exclude_defaults=True)
    if encoder.revision > 1:
        later["revision"] = encoder.revision
    preprocessing = {
        "encoder": merged({**first, **later}, encoder.unused),
        "slice": {
            **slices.model_dump(include={"frames", "fps", "size"}),
            **slices.model_dump(include={"resize", "interpolation"}, exclude_defaults=True),
        },
    }
    digest = hashlib.sha256(json.dumps(preprocessing, sort_keys=True).encode())
    add_tensors(digest, weights)
    return digest.hexdigest()


def add_tensors(digest: "hashlib._Hash", weights: Mapping[str, Tensor]) -> None:
    """Add the names, types, shapes and bytes of tensors to a digest.

    Args:
        digest: takes them.
        weights: by name, on any device.
    """
    for name in sorted(weights):
        weight = weights[name].detach().cpu().contiguous()
        digest.update(f"{name} {weight.dtype} {tuple(weight.shape)}".encode())
        digest.update(weight.reshape(-1).view(torch.uint8).numpy().tobytes())


def merged(settings: Mapping[str, Any], others: Mapping[str, Any]) -> dict[str, Any]:
    """Nested settings and others beside them.

    Args:
        settings: some.
        others: the rest; they win where both have a value.
    """
    both = {**settings, **others}
    for key in settings.keys() & others.keys():
        if isinstance(settings[key], Mapping):
            both[key] = merged(settings[key], others[key])
    return both
