"""The rows that the last filters let through, which need not be looked for again."""

from collections import deque

import numpy as np
from numpy.typing import NDArray

from .filters import Where, pairs
from .segment import Segment

__all__ = ["KeptFilters"]

FILTERS = 8
"""Filters whose rows are kept."""


class KeptFilters:
    """What the last filters let through of the segments of an opened library.

    Args:
        segments: how many there are.
    """

    def __init__(self, segments: int) -> None:
        self._kept: deque[tuple[Segment, Where, NDArray[np.bool_]]] = deque(maxlen=FILTERS * segments)

    def find(self, segment: Segment, where: Where) -> NDArray[np.bool_] | None:
        """The rows of a segment that a filter lets through.

        Args:
            segment: one of them.
            where: a filter.

        Returns:
            (rows,) mask; None where it is not kept.
        """
        for known, asked, mask in tuple(self._kept):
            if known is segment and same(asked, where):
                return mask
        return None

    def keep(self, segment: Segment, where: Where, mask: NDArray[np.bool_]) -> None:
        """Keep the rows of a segment that a filter lets through, in place of those kept for longest.

        Args:
            segment: one of them.
            where: a filter.
            mask: (rows,) which rows it lets through.
        """
        self._kept.append((segment, where, mask))


def same(one: Where, other: Where) -> bool:
    """Whether two filters let the same through; 1 and True are equal in Python, but not as attributes."""
    return one == other and pairs(one) == pairs(other)
