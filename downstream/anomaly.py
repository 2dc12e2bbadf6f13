"""How far from normal is too far: a threshold on distances that keeps a false-alarm rate, and alerts.

The threshold is the m-th largest of n distances of normal slices, each measured as if its video were not
known, with m = ⌊r (n + 1)⌋ for a rate of r a slice. If new normal slices are exchangeable with them, one
exceeds it with probability m / (n + 1) ≤ r (split conformal prediction, Vovk et al., Algorithmic Learning in
a Random World, 2005). With m = 0 the footage is too short for the rate: the largest distance is used.
"""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from sora_video.base.errors import ConfigError

__all__ = ["Alert", "Alerts", "Change", "Rules", "Threshold", "calibrate", "rate_a_slice"]

UNITS_S = {"minute": 60.0, "hour": 3600.0, "day": 86400.0}
EPSILON_S = 1e-6


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


@dataclass(frozen=True)
class Rules:
    """When slices over a threshold are an alert, in seconds."""

    join_s: float = 0.0
    """Alerts that are at most so far apart are one."""
    least_s: float = 0.0
    """Shorter alerts are left out."""
    cooldown_s: float = 0.0
    """After an alert has ended, slices that start within this time start no other."""

    def __post_init__(self) -> None:
        """Refuse times below 0."""
        for name, value in vars(self).items():
            if value < 0:
                raise ConfigError(f"{name}={value:g}: must be at least 0 seconds")


class Change(NamedTuple):
    """What a slice changes; at most one of these."""

    started: Alert | None = None
    """An alert that starts, which is known once it is long enough."""
    ended: Alert | None = None
    """An alert that has ended."""
    dropped: bool = False
    """Whether something has ended that was too short for an alert."""


class Alerts:
    """Joins slices over a threshold to alerts.

    Args:
        threshold: distances above it are alarming.
        rules: what makes an alert of them.
    """

    def __init__(self, threshold: float, rules: Rules | None = None) -> None:
        self.threshold, self.rules = threshold, rules or Rules()
        self.current: Alert | None = None
        """What may become an alert, or is one that goes on."""
        self.has_started = False
        """Whether it is long enough."""
        self.slices = self.over = self.ended = self.dropped = 0
        """Slices seen, those over the threshold, alerts that have ended, and those that were too short."""
        self.rest_until_s = -math.inf

    def take(self, start_s: float, end_s: float, distance: float) -> Change:
        """Look at the next slice.

        Args:
            start_s: its start in seconds.
            end_s: its end.
            distance: how far it is from normal.

        Returns:
            What it changes.
        """
        self.slices += 1
        is_over = distance > self.threshold
        self.over += is_over
        if not is_over:
            is_past = self.current and end_s - self.current.end_s > self.rules.join_s + EPSILON_S
            return self.end() if is_past else Change()
        if self.current is None and start_s < self.rest_until_s - EPSILON_S:
            return Change()
        self.current = joined(self.current, Alert(start_s, end_s, distance, start_s))
        if self.has_started or end_s - self.current.start_s < self.rules.least_s - EPSILON_S:
            return Change()
        self.has_started = True
        return Change(started=self.current)

    def end(self) -> Change:
        """What ends where nothing follows."""
        ended, had_started = self.current, self.has_started
        self.current, self.has_started = None, False
        if ended is None:
            return Change()
        if not had_started:
            self.dropped += 1
            return Change(dropped=True)
        self.ended += 1
        self.rest_until_s = ended.end_s + self.rules.cooldown_s
        return Change(ended=ended)


def joined(before: Alert | None, after: Alert) -> Alert:
    """Two alerts as one, with the peak of the farther one."""
    if before is None:
        return after
    peak = max(before, after, key=lambda alert: alert.distance)
    return replace(peak, start_s=before.start_s, end_s=after.end_s)
