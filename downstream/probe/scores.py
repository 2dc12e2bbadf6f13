"""What one kind of features reaches on the test rows, by every protocol."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from .attentive import attentive_probe
from .features import Frozen
from .fewshot import few_shot
from .heads import Prediction, knn_probe, linear_probe_scores, nearest_rows
from .metrics import Estimate, Metric, classification_metrics, draw_weights, estimate
from .retrieval import Retrieval, centred, retrieve
from .split import Split

__all__ = ["FeatureScores", "estimate_all", "score_frozen", "score_pixels"]

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
    """
    pooled = [features.pooled() for features in frozen]
    predictions: dict[str, Sequence[Prediction]] = {
        "linear": [linear_probe_scores(features, split) for features in pooled],
        "attentive": [one for features in frozen for one in attentive_probe(features, split)],
        "knn": [knn_probe(features, split) for features in pooled],
    }
    if tuned:
        predictions["fine-tuned"] = tuned
    retrievals = [retrieve(centred(each, split) if centre else each, split) for each in pooled]
    few: dict[int, list[float]] = {}
    for features in pooled:
        for shots, values in few_shot(features, split).items():
            few.setdefault(shots, []).extend(values)
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
    weights = draw_weights(split.groups[split.test])
    estimates: dict[str, dict[str, Estimate]] = {}
    for protocol, metrics in all_metrics(predictions, retrievals, split).items():
        for name, seeds in metrics.items():
            costly = name == "mAP" and protocol != "retrieval" and not split.multi
            estimates.setdefault(protocol, {})[name] = estimate(
                seeds, None if costly else weights, len(split.test)
            )
    return estimates


def all_metrics(
    predictions: Mapping[str, Sequence[Prediction]], retrievals: Sequence[Retrieval], split: Split
) -> dict[str, dict[str, list[Metric]]]:
    """Every metric of every protocol, one a seed."""
    truth = split.targets[split.test]
    by_seed = {
        protocol: [classification_metrics(truth, seed.scores, split.multi) for seed in seeds]
        for protocol, seeds in predictions.items()
    }
    if retrievals:
        by_seed["retrieval"] = [retrieval.metrics() for retrieval in retrievals]
    return {
        protocol: {name: [metrics[name] for metrics in seeds] for name in seeds[0]}
        for protocol, seeds in by_seed.items()
    }
