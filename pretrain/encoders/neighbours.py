"""The class of a row by the classes of rows like it."""

import numpy as np
from numpy.typing import NDArray

__all__ = ["TEMPERATURE", "nearest", "tally", "vote"]

TEMPERATURE = 0.07
"""Of the vote (Wu et al., Unsupervised Feature Learning via Instance Discrimination, 2018)."""
BLOCK = 1024
"""Queries compared at once, to bound memory."""


def vote(similarity: NDArray[np.float32], ballots: NDArray[np.float64], neighbours: int) -> NDArray[np.int64]:
    """The class that the most similar rows vote for, each with weight exp(cosine / 0.07).

    Args:
        similarity: (Q, N) cosines; -inf where a row may not vote.
        ballots: (N, C) what a row's vote counts for each class.
        neighbours: how many rows vote, k; all where there are fewer.

    Returns:
        (Q,) classes as columns of ``ballots``.
    """
    rows = np.argsort(-similarity, axis=1, kind="stable")[:, :neighbours]
    votes = tally(np.take_along_axis(similarity, rows, 1), rows, ballots, TEMPERATURE)
    return np.asarray(votes.argmax(1))


def tally(
    similarity: NDArray[np.float32],
    rows: NDArray[np.int64],
    ballots: NDArray[np.float64],
    temperature: float,
) -> NDArray[np.float64]:
    """Sums of votes of weight exp((cosine - 1) / temperature).

    Args:
        similarity: (Q, k) cosines.
        rows: (Q, k) rows that vote.
        ballots: (N, C) what a row's vote counts for each class.
        temperature: divisor of the cosines.

    Returns:
        (Q, C) totals.
    """
    weights = np.exp((similarity.astype(np.float64) - 1) / temperature)
    totals = np.zeros((len(rows), ballots.shape[1]))
    for rank in range(rows.shape[1]):
        totals += weights[:, rank, None] * ballots[rows[:, rank]]
    return totals


def nearest(
    queries: NDArray[np.float32], gallery: NDArray[np.float32], neighbours: int
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """The most similar rows, block by block.

    Args:
        queries: (Q, D) L2-normalised.
        gallery: (N, D) L2-normalised.
        neighbours: how many, k; all where there are fewer.

    Returns:
        (Q, k) falling cosines, and (Q, k) rows of the gallery; equal cosines are in the order of their rows.
    """
    count = min(neighbours, len(gallery))
    cosines = np.empty((len(queries), count), np.float32)
    rows = np.empty((len(queries), count), np.int64)
    for start in range(0, len(queries), BLOCK):
        part = slice(start, start + BLOCK)
        similarity = queries[part] @ gallery.T
        best = np.sort(np.argpartition(-similarity, count - 1, axis=1)[:, :count], axis=1)
        best_cosines = np.take_along_axis(similarity, best, 1)
        order = np.argsort(-best_cosines, axis=1, kind="stable")
        cosines[part], rows[part] = (np.take_along_axis(values, order, 1) for values in (best_cosines, best))
    return cosines, rows
