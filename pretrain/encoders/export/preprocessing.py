"""``preprocessing.json``: how a film becomes what an exported encoder takes."""

from typing import Any

from ..frozen import VideoEncoder
from .program import OUTPUT, inputs_of
from .samples import random_slices

__all__ = ["preprocessing"]

CELLS = (
    "Time 0 is when the first picture is shown. Frame k of a slice that starts at s seconds is the picture "
    "on screen at s + (k + 0.5) / fps; past the film's end the last picture stays, and `lengths` counts the "
    "frames before that."
)
RESIZE = (
    "Pictures are shown upright, with square pixels where `resize` is one number. They are scaled to size x "
    "size where `resize` is null, to a short side of `resize` pixels (the long one rounded down) where it is "
    "one number, else to that height and width; then the middle size x size is cut out."
)
STANDARDISED = "(pixel / 255 - mean) / std, by the program or `load_encoder`; pixels are given as uint8 RGB."


def preprocessing(encoder: VideoEncoder) -> dict[str, Any]:
    """All that decides the embedding of a slice, beside the weights.

    Args:
        encoder: the encoder.
    """
    config = encoder.config
    inputs = inputs_of(config, random_slices(config, 1))
    settings = config.slice.model_dump(
        mode="json", include={"frames", "fps", "size", "resize", "interpolation"}
    )
    return {
        "fingerprint": encoder.fingerprint,
        **settings,
        "mean": list(config.encoder.mean),
        "std": list(config.encoder.std),
        "cells": CELLS,
        "picture": RESIZE,
        "standardised": STANDARDISED,
        "inputs": {
            name: {"shape": ["N", *column.shape[1:]], "dtype": str(column.dtype)}
            for name, column in inputs.items()
        },
        "output": {OUTPUT: {"shape": ["N", encoder.dim], "dtype": "float32", "norm": 1}},
    }
