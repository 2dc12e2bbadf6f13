"""What one kind of features reaches on the test rows, by every protocol."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from .features import Frozen
from .fewshot import few_shot
from .knn import nearest_rows
from .linear import linear_probe_scores
from .metrics import Estimate, classification_metrics, draw_weights, estimate
from .probes import PROBES, Prediction
from .retrieval import Retrieval, centred, retrieve
from .split import Split

__all__ = ["FeatureScores", "score_frozen", "score_pixels"]

Estimates = Mapping[str, Mapping[str, Estimate]]


@dataclass(frozen=True, kw_only=True)
class FeatureScores:
    """Predictions and scores of one kind of features; each list has one entry a seed."""

    name: str
    predictions: Mapping[str, Sequence[Prediction]]
    """Of the test rows by protocol: linear, attentive, knn, fine-tuned."""
    estimates: Estimates
    """Every metric with its interval, by protocol, retrieval among them."""
    retrievals: Sequence[Retrieval] = ()
    few: Mapping[int, Sequence[float]] = field(default_factory=dict)
    """Headline scores by labels a class, one a draw and seed."""


def score_frozen(
    name: str,
    frozen: Sequence[Frozen],
    split: Split,
    *,
    centre: bool = False,
    tuned: Sequence[Prediction] = (),
) -> FeatureScores:
    """Score frozen features by every protocol.

    Args:
        name: what the features are.
        frozen: features of all rows, one a seed.
        split: labels and rows.
        centre: whether retrieval subtracts the mean of the training rows.
        tuned: predictions by fine-tuning, where there are any.

    Returns:
        Predictions and scores of the test rows.
    """
    predictions: dict[str, Sequence[Prediction]] = {}
    for probe in PROBES.names():
        predict = PROBES.load(probe).predict
        predictions[probe] = [prediction for seed in frozen for prediction in predict(seed, split)]
    if tuned:
        predictions["fine-tuned"] = tuned
    pooled = [seed.pooled for seed in frozen]
    few: dict[int, list[float]] = {}
    for features in pooled:
        for shots, values in few_shot(features, split).items():
            few.setdefault(shots, []).extend(values)
    retrievals = [retrieve(centred(each, split) if centre else each, split) for each in pooled]
    estimates = estimate_all(predictions, retrievals, split)
    return FeatureScores(
        name=name, predictions=predictions, estimates=estimates, retrievals=retrievals, few=few
    )


def score_pixels(name: str, features: NDArray[np.float32], split: Split) -> FeatureScores:
    """Score raw pixels by a linear probe and by the nearest neighbour.

    Args:
        name: what the features are.
        features: (N, D) of all rows.
        split: labels and rows.

    Returns:
        Predictions and scores of the test rows.
    """
    nearest = split.targets[split.train][nearest_rows(features, split)].astype(np.float64)
    predictions = {
        "linear": [linear_probe_scores(features, split)],
        "knn": [Prediction(nearest, {"k": 1})],
    }
    return FeatureScores(name=name, predictions=predictions, estimates=estimate_all(predictions, (), split))


def estimate_all(
    predictions: Mapping[str, Sequence[Prediction]], retrievals: Sequence[Retrieval], split: Split
) -> Estimates:
    """Every metric with its interval, by protocol.

    mAP over classes is resampled only where it is the headline, since that takes long. Test rows of a single
    group have no intervals.
    """
    truth, weights = split.targets[split.test], draw_weights(split.groups[split.test])
    seeds_of = {
        protocol: [classification_metrics(truth, seed.scores, split.multi) for seed in seeds]
        for protocol, seeds in predictions.items()
    }
    if retrievals:
        seeds_of["retrieval"] = [retrieval.metrics() for retrieval in retrievals]
    estimates: dict[str, dict[str, Estimate]] = {}
    for protocol, seeds in seeds_of.items():
        for name in seeds[0]:
            costly = name == "mAP" and protocol != "retrieval" and not split.multi
            estimates.setdefault(protocol, {})[name] = estimate(
                [metrics[name] for metrics in seeds], None if costly else weights, len(truth)
            )
    return estimates
