"""Linear probe, kNN and retrieval of one set of features, without intervals."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .knn import knn_probe
from .linear import linear_probe_scores
from .metrics import balanced_accuracy
from .retrieval import recall_at
from .split import Labels, Split

__all__ = ["Scores", "score_features"]


@dataclass(frozen=True)
class Scores:
    """What one set of features reaches on the test rows; all in [0, 1]."""

    linear: float
    """Balanced accuracy of the linear probe."""
    knn: float
    """Balanced accuracy of the weighted vote."""
    recall: dict[str, float]
    """R@k of retrieval, queries from test, gallery from train."""

    def row(self) -> dict[str, float]:
        """Flat, for tables."""
        return {"linear": self.linear, "knn": self.knn, **self.recall}


def score_features(
    features: NDArray[np.float32], split: Split, ranks: Sequence[int] = (1, 5, 10)
) -> tuple[Scores, Labels]:
    """Score one set of features.

    Args:
        features: (N, D) L2-normalised.
        split: labels and rows.
        ranks: values of k for R@k.

    Returns:
        The scores, and the linear probe's predictions of the test rows.
    """
    truth = split.labels[split.test]
    predicted = linear_probe_scores(features, split).labels(split)
    recall = recall_at(features[split.train], split.labels[split.train], features[split.test], truth, ranks)
    knn = balanced_accuracy(truth, knn_probe(features, split).labels(split))
    return Scores(balanced_accuracy(truth, predicted), knn, dict(recall)), predicted
