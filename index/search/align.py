"""Temporal alignment: which part of a query is which part of a video.

The slices of both, in time order, span a matrix of similarities less a threshold: positive where two slices
match. A copied part is a path through it, from left above to right below, of these steps:

    x .  .      x .  .        x .
    . x  .      . .  x        . .        same speed; twice the speed; half of it
                              . x

The best path has the greatest sum of its cells (Smith & Waterman 1981, with the steps of Sakoe & Chiba 1978,
as in the temporal networks of Tan et al. 2009 and the dynamic programming of Chou et al. 2015, which VCSL
compares: He et al. 2022). It is found by dynamic programming, its surroundings are struck out, and the next
one is looked for, so that a part may occur several times, or several parts in another order.

Times are finer than slices. A query's slice that lies between two of the video's is like both; its position
is the centre of mass of its likeness to the slices next to the path. A straight line through these positions
gives the speed, and the query's span is carried over by it. Where embeddings are means of what a slice shows,
the ends in the video are right to about a tenth of a slice, and a quarter at half or twice the speed, if all
of the query matches; but an outermost slice that lies between two of the video's may be too unlike both, and
is lost then. Where the copied part ends within the query, its end is known to half a hop of slices. A match
of few slices tells little of the speed: it is drawn to 1 as if by one more pair of slices a hop apart.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["AlignedSpan", "align", "best_path"]

STEPS = ((1, 1), (1, 2), (2, 1))
"""Slices of the query and of the video that a step of a path goes forward."""
SLOWEST, FASTEST = 0.5, 2.0
MOST_SPANS = 16
"""Most aligned spans of one pair of videos."""

Similarity = NDArray[np.float32]
Times = NDArray[np.float64]


@dataclass(frozen=True)
class AlignedSpan:
    """A part of a query and the part of a video that it is."""

    query_start_s: float
    query_end_s: float
    start_s: float
    end_s: float
    likeness: float
    """Mean similarity of the slices on the path."""
    speed: float
    """Seconds of the video in a second of the query, 0.5 to 2."""


def align(
    similarity: Similarity,
    query_start_s: Times,
    query_end_s: Times,
    start_s: Times,
    end_s: Times,
    least: float,
) -> list[AlignedSpan]:
    """Find the parts that a query and a video have in common.

    Args:
        similarity: (Q, N) of the query's slices and the video's.
        query_start_s: (Q,) rising starts of the query's slices in seconds.
        query_end_s: (Q,) their ends.
        start_s: (N,) rising starts of the video's slices in seconds.
        end_s: (N,) their ends.
        least: similarity from which on two slices match.

    Returns:
        Spans by falling sum of similarity above ``least``. Each is of two pairs of slices or more, except
        where query or video have one slice only. Empty if no slices match.
    """
    gains = similarity.astype(np.float64) - least
    enough = min(2, *gains.shape)
    query_times, times = np.stack([query_start_s, query_end_s]), np.stack([start_s, end_s])
    spans: list[AlignedSpan] = []
    for _ in range(MOST_SPANS):
        if gains.max() <= 0:
            break
        path = best_path(gains)[1]
        if len(path) >= enough:
            spans.append(to_span(similarity, path, query_times, times))
        (top, left), (bottom, right) = path[0], path[-1]
        gains[max(0, top - 1) : bottom + 2, max(0, left - 1) : right + 2] = -np.inf
    return spans


def best_path(gains: NDArray[np.float64]) -> tuple[float, NDArray[np.int64]]:
    """The path of the greatest sum.

    Args:
        gains: (Q, N) at least one cell; ``-inf`` is not entered.

    Returns:
        The sum, and (n, 2) rows and columns of the path's cells.
    """
    total, came = gains.copy(), np.zeros(gains.shape, np.int8)
    for row in range(len(gains)):
        before = np.zeros((1 + len(STEPS), gains.shape[1]))
        for number, (down, right) in enumerate(STEPS, 1):
            if row >= down:
                before[number, right:] = total[row - down, :-right]
        came[row] = before.argmax(axis=0)
        total[row] += before.max(axis=0)
    end = np.unravel_index(total.argmax(), total.shape)
    best, path = float(total[end]), [(int(end[0]), int(end[1]))]
    while came[path[-1]]:
        down, right = STEPS[came[path[-1]] - 1]
        path.append((path[-1][0] - down, path[-1][1] - right))
    return best, np.array(path[::-1], np.int64)


def to_span(similarity: Similarity, path: NDArray[np.int64], query_times: Times, times: Times) -> AlignedSpan:
    """The times of a path; ``query_times`` and ``times`` are (2, Q) and (2, N) starts and ends."""
    rows, columns = path.T
    last_row, last_column = np.array(similarity.shape) - 1
    hop_s = float(np.median(np.diff(query_times[0]))) if last_row else 1.0
    middles_s = positions_of(similarity, path, times.mean(0))
    speed, offset_s = fit_line(query_times.mean(0)[rows], middles_s, hop_s)
    # the outermost of overlapping slices that match reach past the end, by half their overlap on average
    overlap_s = max(0.0, float(np.median(query_times[1] - query_times[0])) - hop_s)
    first_s = query_times[0, rows[0]] + (rows[0] > 0 and columns[0] > 0) * overlap_s / 2
    inside = rows[-1] < last_row and columns[-1] < last_column
    last_s = query_times[1, rows[-1]] - inside * overlap_s / 2
    # what the line carries past the video's ends is not in it
    start_s = max(speed * first_s + offset_s, times[0].min())
    end_s = min(speed * last_s + offset_s, times[1].max())
    return AlignedSpan(
        query_start_s=float(max(first_s, (start_s - offset_s) / speed)),
        query_end_s=float(min(last_s, (end_s - offset_s) / speed)),
        start_s=float(start_s),
        end_s=float(end_s),
        likeness=float(similarity[rows, columns].mean()),
        speed=float(speed),
    )


def positions_of(similarity: Similarity, path: NDArray[np.int64], middles: Times) -> Times:
    """Where in a video the query's slices of a path lie, finer than slices.

    Of the video's slice on the path and its two neighbours the one least like the query's is taken not to
    overlap it, and the others to overlap it by as much as they are more like it.

    Args:
        similarity: (Q, N).
        path: (n, 2).
        middles: (N,) middles of the video's slices in seconds.

    Returns:
        (n,) seconds.
    """
    rows, columns = path.T
    last = similarity.shape[1] - 1
    neighbours = np.clip(columns[:, None] + [-1, 0, 1], 0, last)
    weights = similarity[rows[:, None], neighbours].astype(np.float64)
    weights -= weights.min(axis=1, keepdims=True)
    weights[(columns == 0) | (columns == last)] = [0, 1, 0]  # only one neighbour: unknown
    weights[weights.sum(axis=1) == 0] = [0, 1, 0]
    positions: Times = (weights * middles[neighbours]).sum(axis=1) / weights.sum(axis=1)
    return positions


def fit_line(query_s: Times, video_s: Times, hop_s: float) -> tuple[float, float]:
    """Speed and offset of the line through pairs of times, by ridge regression towards speed 1."""
    query_mean, video_mean = query_s.mean(), video_s.mean()
    query, lead = query_s - query_mean, (video_s - video_mean) - (query_s - query_mean)
    speed = float(np.clip(1 + (query * lead).sum() / ((query**2).sum() + hop_s**2), SLOWEST, FASTEST))
    return speed, float(video_mean - speed * query_mean)
