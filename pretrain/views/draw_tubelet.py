"""Which patches move through the slices of a sample: drawn on the CPU, by NumPy alone."""

import math

import numpy as np
from numpy.typing import NDArray

from sora_video.base.randomness import generator
from sora_video.configs.augment import AugmentConfig

__all__ = ["TUBELETS", "TUBELET_FIELDS", "draw_tubelets"]

TUBELETS = 2
"""Patches that move through one slice (the number that the paper found best); the last lies on top."""
TUBELET_FIELDS = 16
"""Numbers that describe one patch, an ellipse, and its path. Where it is cut out: moment (fraction of the
slice), centre (x and y), width (0: there is none) and height, as fractions of the frame. The path of its
centre: x of four control points of a Bézier curve, then their y. How many times larger it is at the end. Its
rotation at both ends, in radians."""

LEAST_ASPECT = 0.5
"""Of a patch's width to its height, before it turns."""


def draw_tubelets(key: tuple[int | str, ...], augment: AugmentConfig) -> NDArray[np.float32] | None:
    """Draw the patches of one sample.

    Args:
        key: of their randomness.
        augment: how likely they are, and their ranges.

    Returns:
        (``TUBELETS``, ``TUBELET_FIELDS``) float32, see there; None where the run has none.
    """
    if augment.tubelet == 0:
        return None
    rng = generator(*key, "tubelets")
    if rng.random() >= augment.tubelet:
        return np.zeros((TUBELETS, TUBELET_FIELDS), np.float32)
    return np.array([draw_tubelet(rng, augment) for _ in range(TUBELETS)], np.float32)


def draw_tubelet(rng: np.random.Generator, augment: AugmentConfig) -> list[float]:
    """A patch and its path."""
    first, last = rng.uniform(*augment.tubelet_size, 2)
    width, height = first * rng.uniform(LEAST_ASPECT, 1), first
    turn = 2 * math.pi * augment.tubelet_turn
    return [
        rng.random(),
        rng.uniform(width / 2, 1 - width / 2),
        rng.uniform(height / 2, 1 - height / 2),
        width,
        height,
        *rng.random(8),
        last / first,
        *rng.uniform(-turn, turn, 2),
    ]
