"""How far from normal is too far: a threshold on distances that keeps a false-alarm rate, and alerts.

The threshold is the m-th largest of n distances of normal slices, each measured as if its video were not
known, with m = ⌊r (n + 1)⌋ for a rate of r a slice. If new normal slices are exchangeable with them, one
exceeds it with probability m / (n + 1) ≤ r (split conformal prediction, Vovk et al., Algorithmic Learning in
a Random World, 2005). With m = 0 the footage is too short for the rate: the largest distance is used.
"""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sora_video.base.errors import ConfigError

__all__ = ["Alert", "Alerts", "Threshold", "calibrate", "rate_a_slice"]

UNITS_S = {"minute": 60.0, "hour": 3600.0, "day": 86400.0}


@dataclass(frozen=True)
class Threshold:
    """The largest distance that is still normal."""

    distance: float
    slices: int
    """Normal slices that it was set on."""
    wanted: float
    """False alarms a slice that were asked for."""
    expected: float
    """False alarms a slice that it gives."""

    @property
    def too_short(self) -> bool:
        """Whether the normal footage is too short for the rate that was asked for."""
        return self.expected > self.wanted


@dataclass(frozen=True)
class Alert:
    """Slices one after another that are too far from normal."""

    start_s: float
    end_s: float
    distance: float
    """Of the farthest slice."""
    peak_s: float
    """Start of the farthest slice."""


def rate_a_slice(text: str, hop_s: float) -> float:
    """A rate such as ``1/hour``, ``0.5/day`` or ``0.01`` as false alarms a slice.

    Args:
        text: a number an hour, day or minute, or a fraction of the slices.
        hop_s: seconds from slice to slice.

    Returns:
        False alarms a slice, between 0 and 1.

    Raises:
        ConfigError: it is neither, or leaves nothing to tell.
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?|\.\d+)(?:/(minute|hour|day))?", text.strip())
    rate = -1.0 if match is None else float(match[1])
    if match is not None and match[2]:
        rate *= hop_s / UNITS_S[match[2]]
    if not 0 < rate < 1:
        raise ConfigError(
            f"--false-alarms {text}: must be a number an hour, day or minute, as in 1/hour, or a fraction of "
            "the slices between 0 and 1"
        )
    return rate


def calibrate(distances: Sequence[float], rate: float) -> Threshold:
    """The threshold that keeps a rate.

    Args:
        distances: of n normal slices, at least one.
        rate: false alarms a slice.

    Returns:
        The threshold, and what it was set on.
    """
    falling = np.sort(np.asarray(distances, np.float64))[::-1]
    allowed = max(1, math.floor(rate * (len(falling) + 1) + 1e-9))
    return Threshold(float(falling[allowed - 1]), len(falling), rate, allowed / (len(falling) + 1))


class Alerts:
    """Joins slices that follow each other and are over a threshold.

    Args:
        threshold: distances above it are alarming.
    """

    def __init__(self, threshold: float) -> None:
        self.threshold = threshold
        self.current: Alert | None = None
        self.slices = self.over = self.ended = 0
        """Slices seen, those over the threshold, and alerts that have ended."""

    def take(self, start_s: float, end_s: float, distance: float) -> Alert | None:
        """Look at the next slice; returns an alert that it ends."""
        self.slices += 1
        if distance <= self.threshold:
            return self.end()
        self.over += 1
        old = self.current
        if old is None:
            self.current = Alert(start_s, end_s, distance, start_s)
        elif distance > old.distance:
            self.current = Alert(old.start_s, end_s, distance, start_s)
        else:
            self.current = Alert(old.start_s, end_s, old.distance, old.peak_s)
        return None

    def end(self) -> Alert | None:
        """The alert that is going on, which ends here."""
        ended, self.current = self.current, None
        self.ended += ended is not None
        return ended
