"""The class of a row by the classes of rows like it."""

import numpy as np
from numpy.typing import NDArray

__all__ = ["TEMPERATURE", "vote"]

TEMPERATURE = 0.07
"""Of the vote (Wu et al., Unsupervised Feature Learning via Instance Discrimination, 2018)."""


def vote(similarity: NDArray[np.float32], ballots: NDArray[np.float64], neighbours: int) -> NDArray[np.int64]:
    """The class that the most similar rows vote for, each with weight exp(cosine / 0.07).

    Args:
        similarity: (Q, N) cosines; -inf where a row may not vote.
        ballots: (N, C) what a row's vote counts for each class.
        neighbours: how many rows vote, k; all where there are fewer.

    Returns:
        (Q,) classes as columns of ``ballots``.
    """
    nearest = np.argsort(-similarity, axis=1, kind="stable")[:, :neighbours]
    weights = np.exp((np.take_along_axis(similarity, nearest, 1) - 1) / TEMPERATURE)
    return np.asarray(np.einsum("qk,qkc->qc", weights, ballots[nearest]).argmax(1))
