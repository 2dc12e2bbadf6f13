"""A probe's scores as plain values."""

from typing import Any

import numpy as np

from .metrics import average_precision
from .probes import Prediction
from .scores import FeatureScores
from .split import Split

__all__ = ["class_table", "plain_scores"]


def plain_scores(scores: FeatureScores) -> dict[str, Any]:
    """Numbers and choices of one kind of features.

    Args:
        scores: by every protocol.

    Returns:
        By protocol: each metric with its interval, and what was chosen.
    """
    plain: dict[str, Any] = {
        protocol: {name: value.as_json() for name, value in values.items()}
        for protocol, values in scores.estimates.items()
    }
    for protocol, predictions in scores.predictions.items():
        plain[protocol]["chosen"] = [dict(prediction.choice) for prediction in predictions]
    if scores.few:
        plain["few-shot"] = {
            str(shots): {"value": float(np.mean(values)), "spread": float(np.std(values, ddof=1))}
            for shots, values in scores.few.items()
        }
    return plain


def class_table(prediction: Prediction, split: Split) -> list[dict[str, Any]]:
    """A row a class: its rows on each side, recall, precision and average precision.

    Args:
        prediction: of the test rows.
        split: labels and rows.

    Returns:
        Rows to print; None where nothing can be measured.
    """
    scores, truth = prediction.scores, split.targets[split.test]
    assigned = scores >= 0.5 if split.multi else scores == scores.max(1, keepdims=True)
    hits, tested, named = (truth & assigned).sum(0), truth.sum(0), assigned.sum(0)
    trained = split.targets[split.train].sum(0)
    once_each = np.ones((1, len(truth)))
    return [
        {
            "class": name,
            "train": int(trained[column]),
            "test": int(tested[column]),
            "recall": float(hits[column] / tested[column]) if tested[column] else None,
            "precision": float(hits[column] / named[column]) if named[column] else None,
            "AP": float(average_precision(truth[:, column], scores[:, column])(once_each)[0])
            if tested[column]
            else None,
        }
        for column, name in enumerate(split.classes)
    ]
