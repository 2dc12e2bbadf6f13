"""How distances are spread, in constant memory however long a stream is."""

from collections.abc import Iterable
from math import inf, nextafter

import numpy as np
from numpy.typing import NDArray

__all__ = ["SHARES", "Spread"]

SHARES = (0.05, 0.25, 0.5, 0.75, 0.95, 1.0)
"""Shares of the slices of which the largest distance is told."""
EDGES: NDArray[np.float64] = np.concatenate([[0.0], np.geomspace(1e-7, 2, 4096), [inf]])
"""Of bins, each 0.4 % wider than the one below it; 1 - a cosine is at most 2."""


class Spread:
    """Counts distances in bins, and tells their quantiles to half a percent.

    Args:
        distances: to start with, each at least 0.
    """

    def __init__(self, distances: Iterable[float] = ()) -> None:
        self.counts = np.zeros(len(EDGES), np.int64)
        self.largest = 0.0
        for distance in distances:
            self.add(distance)

    def add(self, distance: float) -> None:
        """Count one more distance.

        Args:
            distance: at least 0; rounding below it counts as 0.
        """
        self.counts[np.searchsorted(EDGES, max(0.0, distance))] += 1
        self.largest = max(self.largest, distance)

    def quantiles(self) -> dict[str, float]:
        """The largest distance of each of :data:`SHARES`, by the share; empty where none was counted."""
        total = int(self.counts.sum())
        if not total:
            return {}
        below = np.cumsum(self.counts)
        bins = [int(np.searchsorted(below, nextafter(share * total, 0))) for share in SHARES]
        return {
            f"{share:g}": float(min(self.largest, EDGES[bin_]))
            for share, bin_ in zip(SHARES, bins, strict=True)
        }
