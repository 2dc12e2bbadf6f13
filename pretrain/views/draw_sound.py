"""Which view to make of sound: drawn per view on the CPU, by NumPy alone; applied by :mod:`.sound`."""

import numpy as np
from numpy.typing import NDArray

from sora_video.configs.augment import AugmentConfig
from sora_video.pretrain.video.sound import RATE

__all__ = ["SOUND_FIELDS", "draw_sound_view"]

SOUND_FIELDS = 5
"""Numbers that describe one view: factor of the amplitude, band (low and high as fractions of half the sample
rate) and gap (start and end as fractions of the slice)."""

TOP_MEL = 2595 * np.log10(1 + RATE / 2 / 700)


def draw_sound_view(rng: np.random.Generator, config: AugmentConfig) -> NDArray[np.float32]:
    """Draw the parameters of one view.

    Args:
        rng: the view's own source of randomness.
        config: ranges.

    Returns:
        (``SOUND_FIELDS``,) float32, see there.
    """
    gain_db = rng.uniform(-config.sound_gain_db, config.sound_gain_db)
    low, high = draw_part(rng, config.sound_band)
    return np.array(
        [10 ** (gain_db / 20), fraction_of(low), fraction_of(high), *draw_part(rng, config.sound_gap)],
        np.float32,
    )


def draw_part(rng: np.random.Generator, longest: float) -> tuple[float, float]:
    """A part of [0, 1], of a length up to ``longest``."""
    length = rng.uniform(0, longest)
    start = rng.uniform(0, 1 - length)
    return start, start + length


def fraction_of(mel: float) -> float:
    """The part of half the sample rate that lies below a part of the mel scale (HTK's)."""
    return float(700 * (10 ** (mel * TOP_MEL / 2595) - 1) / (RATE / 2))
