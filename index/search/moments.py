"""Moments: neighbouring slices of a found video that match, merged to spans of time.

A slice's likeness is that to the query's slice that it is most like. It matches if it is at least three
tenths of the way from the background to the best likeness of the whole search. The background is the median
likeness of any slice of the query and any slice of the best ten videos: few of these pairs match. A slice
that shows half of a scene is half as much like it, so the ends of a moment are known to about half a slice.

    likeness   .0  .2  .9  .8  .1  .0  .7  .1       best .9, background .1: slices of .34 and more match
    moments         |------|        |--|
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Moment", "find_moments", "match_level"]

MATCH = 0.3
"""Of the way from the background to the best likeness: the least that matches. Above it slices at the ends of
excerpts are lost more often."""
TOUCH_S = 1e-3
"""Slices this close in time are neighbours."""


@dataclass(frozen=True)
class Moment:
    """A span of a video that is like the query."""

    start_s: float
    end_s: float
    likeness: float
    """Of its best slice."""


def match_level(similarities: list[NDArray[np.float32]]) -> float:
    """The least likeness that counts as a match in one search.

    Args:
        similarities: (Q, N) of the query's slices and those of each of the best videos.
    """
    likeness = np.concatenate([similarity.ravel() for similarity in similarities])
    background = float(np.median(likeness))
    return background + MATCH * (float(likeness.max()) - background)


def find_moments(
    likeness: NDArray[np.float32], start_s: NDArray[np.float64], end_s: NDArray[np.float64], least: float
) -> list[Moment]:
    """Merge the matching slices of one video that overlap or touch.

    Args:
        likeness: (N,) of its slices, N at least 1.
        start_s: (N,) their starts in seconds, in any order.
        end_s: (N,) their ends in seconds.
        least: likeness from which on a slice matches; where none does the best one alone is taken to.

    Returns:
        Moments by falling likeness, those of equal likeness by time; at least one.
    """
    matching = np.flatnonzero(likeness >= min(least, likeness.max()))
    matching = matching[np.lexsort((end_s[matching], start_s[matching]))]
    starts, reach = start_s[matching], np.maximum.accumulate(end_s[matching])
    firsts = np.concatenate([[0], 1 + np.flatnonzero(starts[1:] > reach[:-1] + TOUCH_S)])
    ends = np.maximum.reduceat(end_s[matching], firsts)
    best = np.maximum.reduceat(likeness[matching], firsts)
    moments = [*map(Moment, starts[firsts].tolist(), ends.tolist(), best.tolist())]
    return sorted(moments, key=lambda moment: (-moment.likeness, moment.start_s))
