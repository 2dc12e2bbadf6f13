"""What a copy of a view undergoes: drawn per view on the CPU, by NumPy alone; applied by :mod:`.copies`."""

import math

import numpy as np
from numpy.typing import NDArray

from sora_video.configs.augment import MOST_OVERLAYS, AugmentConfig

__all__ = ["COPY_FIELDS", "RECTANGLES", "RECTANGLE_FIELDS", "draw_copy"]

RECTANGLES = 2 + MOST_OVERLAYS
"""Rectangles of one view: two bars, and what else covers it; the first lie on top."""
RECTANGLE_FIELDS = 8
"""Numbers that describe a rectangle: left, top, right and bottom (fractions of the view), opacity (0: there
is none), red, green and blue (0 to 1)."""
COPY_FIELDS = 2 + RECTANGLES * RECTANGLE_FIELDS
"""Numbers that describe one copy: how many blocks of 8 pixels the side of the compressed picture has (0: it
is not compressed), the quality, and the rectangles."""

BLOCK = 8
WIDEST = 10.0
"""Most times that a rectangle is as wide as high."""


def draw_copy(rng: np.random.Generator, config: AugmentConfig) -> NDArray[np.float32]:
    """Draw what one copy undergoes.

    Args:
        rng: the copy's own source of randomness.
        config: ranges and probabilities.

    Returns:
        (``COPY_FIELDS``,) float32, see there; (0,) where no view is made a copy.
    """
    if config.overlay == config.border == config.compress == 0:
        return np.zeros(0, np.float32)
    rectangles = np.zeros((RECTANGLES, RECTANGLE_FIELDS))
    if rng.random() < config.border:
        rectangles[:2] = draw_bars(rng, config)
    if rng.random() < config.overlay:
        count = rng.integers(config.overlay_count) + 1
        rectangles[2 : 2 + count] = [draw_overlay(rng, config) for _ in range(count)]
    compression = draw_compression(rng, config) if rng.random() < config.compress else [0.0, 0.0]
    return np.concatenate([compression, rectangles.ravel()]).astype(np.float32)


def draw_bars(rng: np.random.Generator, config: AugmentConfig) -> list[list[float]]:
    """Two opaque bars at opposite edges."""
    width, grey = rng.uniform(*config.border_width), rng.random()
    if rng.random() < 0.5:
        places = [[0, 0, 1, width], [0, 1 - width, 1, 1]]
    else:
        places = [[0, 0, width, 1], [1 - width, 0, 1, 1]]
    return [[*place, 1, grey, grey, grey] for place in places]


def draw_overlay(rng: np.random.Generator, config: AugmentConfig) -> list[float]:
    """A rectangle that is at least as wide as high, opaque or half transparent, of any colour."""
    area = rng.uniform(*config.overlay_area)
    aspect = math.exp(rng.uniform(0, math.log(WIDEST)))
    width = min(1.0, math.sqrt(area * aspect))
    height = area / width
    left, top = rng.uniform(0, 1 - width), rng.uniform(0, 1 - height)
    opacity = 1.0 if rng.random() < 0.5 else rng.uniform(0.3, 1)
    return [left, top, left + width, top + height, opacity, *rng.random(3)]


def draw_compression(rng: np.random.Generator, config: AugmentConfig) -> list[float]:
    """Blocks along the compressed picture's side, and quality."""
    least, most = (round(side * config.size / BLOCK) for side in config.compress_size)
    most = max(1, min(most, config.size // BLOCK))
    return [float(rng.integers(min(max(1, least), most), most + 1)), rng.uniform(*config.compress_quality)]
