"""Which view to make of a picture: drawn per view on the CPU, by NumPy alone; applied by :mod:`.picture`."""

import math

import numpy as np
from numpy.typing import NDArray

from sora_video.configs.augment import AugmentConfig

__all__ = ["VIEW_FIELDS", "draw_view"]

VIEW_FIELDS = 16
"""Numbers that describe one view: left, top, width, height (fractions of the frame), flip (0 or 1), the
colour matrix (9), contrast and blur sigma in pixels."""

LUMA = np.array([0.299, 0.587, 0.114])
SAME, GREY = np.eye(3), np.tile(LUMA, (3, 1))
TO_YIQ = np.array([[0.299, 0.587, 0.114], [0.596, -0.274, -0.322], [0.211, -0.523, 0.312]])
FROM_YIQ = np.linalg.inv(TO_YIQ)
ATTEMPTS = 10


def draw_view(rng: np.random.Generator, config: AugmentConfig) -> NDArray[np.float32]:
    """Draw the parameters of one view.

    Args:
        rng: the view's own source of randomness.
        config: ranges and probabilities.

    Returns:
        (``VIEW_FIELDS``,) float32, see there.
    """
    return np.concatenate(
        [
            draw_box(rng, config),
            [rng.random() < config.flip],
            draw_colour(rng, config),
            [draw_sigma(rng, config)],
        ]
    ).astype(np.float32)


def draw_box(rng: np.random.Generator, config: AugmentConfig) -> list[float]:
    """A crop by area and aspect, as (left, top, width, height) in fractions (Szegedy et al. 2015)."""
    low, high = config.crop_aspect
    for _ in range(ATTEMPTS):
        area = rng.uniform(*config.crop_area)
        aspect = math.exp(rng.uniform(math.log(low), math.log(high)))
        width, height = math.sqrt(area * aspect), math.sqrt(area / aspect)
        if width <= 1 and height <= 1:
            return [rng.uniform(0, 1 - width), rng.uniform(0, 1 - height), width, height]
    side = math.sqrt(config.crop_area[1])
    return [(1 - side) / 2, (1 - side) / 2, side, side]


def draw_colour(rng: np.random.Generator, config: AugmentConfig) -> list[float]:
    """The colour matrix, row by row, and the contrast factor."""
    matrix, contrast = SAME, 1.0
    if rng.random() < config.jitter:
        brightness, contrast, saturation = (
            rng.uniform(max(0.0, 1 - change), 1 + change)
            for change in (config.brightness, config.contrast, config.saturation)
        )
        matrix = brightness * saturate(saturation) @ turn_hue(rng.uniform(-config.hue, config.hue))
    if rng.random() < config.grey:
        matrix = saturate(0.0) @ matrix
    return [*matrix.ravel(), contrast]


def saturate(factor: float) -> NDArray[np.float64]:
    """The colour matrix that blends with grey; 1 changes nothing, 0 leaves grey."""
    return factor * SAME + (1 - factor) * GREY


def turn_hue(turns: float) -> NDArray[np.float64]:
    """The colour matrix that rotates hue in the YIQ plane, keeping brightness."""
    cos, sin = math.cos(2 * math.pi * turns), math.sin(2 * math.pi * turns)
    rotation = np.array([[1, 0, 0], [0, cos, -sin], [0, sin, cos]])
    return np.asarray(FROM_YIQ @ rotation @ TO_YIQ)


def draw_sigma(rng: np.random.Generator, config: AugmentConfig) -> float:
    """The blur's standard deviation in pixels; 0 for none."""
    return rng.uniform(*config.blur_sigma) if rng.random() < config.blur else 0.0
