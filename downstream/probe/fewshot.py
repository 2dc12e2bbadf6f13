"""Few-shot: a linear probe on 1, 5 and 10 labels a class."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from sora_video.base.randomness import generator

from .linear import DEFAULT_STRENGTH, fit_linear
from .metrics import quality
from .split import Split

__all__ = ["SHOTS", "few_shot"]

SHOTS = (1, 5, 10)
"""Labels a class."""
DRAWS = 5
"""Draws of the labels, the same ones for all features."""


def few_shot(features: NDArray[np.float32], split: Split) -> Mapping[int, list[float]]:
    """Score a linear probe on few training rows, with C = 1, as no rows are left to choose C by.

    Args:
        features: (N, D), one row a video.
        split: labels and rows; a class with fewer training rows gives all it has.

    Returns:
        For each of :data:`SHOTS` that leaves some rows of some class out, the :func:`quality` of each draw.
    """
    targets = split.targets[split.train]
    scores: dict[int, list[float]] = {}
    for shots in SHOTS:
        if shots >= targets.sum(0).max():
            break
        scores[shots] = []
        for draw in range(DRAWS):
            rows = chosen(targets, shots, draw)
            predicted = fit_linear(
                features[split.train[rows]],
                targets[rows],
                features[split.test],
                DEFAULT_STRENGTH,
                split.multi,
            )
            scores[shots].append(quality(split.targets[split.test], predicted, split.multi))
    return scores


def chosen(targets: NDArray[np.bool_], shots: int, draw: int) -> NDArray[np.int64]:
    """Training rows with ``shots`` of each class; a row that has several classes counts for each."""
    rows: set[int] = set()
    for name in range(targets.shape[1]):
        members = np.flatnonzero(targets[:, name])
        order = generator(draw, "shots", name).permutation(len(members))
        rows.update(members[order[:shots]].tolist())
    return np.array(sorted(rows), np.int64)
