"""What features reach on the test rows by each protocol, with intervals."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .attentive import attentive_probe
from .features import Frozen
from .fewshot import few_shot
from .heads import Prediction, knn_probe, linear_probe_scores, nearest_rows
from .metrics import Estimate, Metric, classification_metrics, draw_weights, estimate
from .protocols import Split
from .retrieval import Retrieval, centred, retrieve

__all__ = ["Family", "headline", "measure", "pixel_family", "probe_family", "summary"]

Features = NDArray[np.float32]


@dataclass(frozen=True)
class Family:
    """What one kind of features reaches; each list has one entry a seed."""

    name: str
    predictions: Mapping[str, Sequence[Prediction]]
    """Of the test rows by protocol: linear, attentive, knn, fine-tuned."""
    retrievals: Sequence[Retrieval] = ()
    few: Mapping[int, Sequence[float]] = field(default_factory=dict)
    """Scores by labels a class, one a draw and seed."""

    def metrics(self, split: Split) -> dict[str, dict[str, list[Metric]]]:
        """Every metric of every protocol, one a seed."""
        found: dict[str, dict[str, list[Metric]]] = {}
        for protocol, predictions in self.predictions.items():
            for one in predictions:
                metrics = classification_metrics(split.targets[split.test], one.scores, split.multi)
                for name, metric in metrics.items():
                    found.setdefault(protocol, {}).setdefault(name, []).append(metric)
        for retrieval in self.retrievals:
            for name, metric in retrieval.metrics().items():
                found.setdefault("retrieval", {}).setdefault(name, []).append(metric)
        return found


def headline(split: Split) -> str:
    """The metric that choices and tables go by."""
    return "mAP" if split.multi else "balanced"


def probe_family(name: str, frozen: Sequence[Frozen], split: Split, *, centre: bool = False) -> Family:
    """Every protocol on frozen features.

    Args:
        name: what the features are.
        frozen: features of all rows, one a seed.
        split: labels and rows.
        centre: whether retrieval takes the training rows' mean away.
    """
    predictions: dict[str, list[Prediction]] = {"linear": [], "attentive": [], "knn": []}
    retrievals: list[Retrieval] = []
    few: dict[int, list[float]] = {}
    for one in frozen:
        features = one.pooled()
        predictions["linear"].append(linear_probe_scores(features, split))
        predictions["attentive"] += attentive_probe(one, split)
        predictions["knn"].append(knn_probe(features, split))
        retrievals.append(retrieve(centred(features, split) if centre else features, split))
        for shots, scores in few_shot(features, split).items():
            few.setdefault(shots, []).extend(scores)
    return Family(name, predictions, retrievals, few)


def pixel_family(name: str, features: Features, split: Split) -> Family:
    """A linear probe and the nearest neighbour on raw pixels."""
    scores = split.targets[split.train][nearest_rows(features, split)].astype(np.float64)
    return Family(
        name,
        {"linear": [linear_probe_scores(features, split)], "knn": [Prediction(scores, {"k": 1})]},
    )


def measure(family: Family, split: Split) -> dict[str, dict[str, Estimate]]:
    """Every metric with its interval, by protocol.

    mAP over classes is resampled only where it is the headline, as that takes long. Of one group of
    test rows there are none.
    """
    rows = len(split.test)
    groups = split.groups[split.test]
    weights = draw_weights(groups) if len(np.unique(groups)) > 1 else None
    found: dict[str, dict[str, Estimate]] = {}
    for protocol, metrics in family.metrics(split).items():
        for name, seeds in metrics.items():
            costly = name == "mAP" and protocol != "retrieval" and not split.multi
            found.setdefault(protocol, {})[name] = estimate(seeds, None if costly else weights, rows)
    return found


def summary(family: Family, split: Split) -> dict[str, Any]:
    """A family's numbers and choices as plain values."""
    found: dict[str, Any] = {
        protocol: {name: value.as_json() for name, value in values.items()}
        for protocol, values in measure(family, split).items()
    }
    for protocol, predictions in family.predictions.items():
        found[protocol]["chosen"] = [dict(one.choice) for one in predictions]
    if family.few:
        found["few-shot"] = {
            str(shots): {"value": float(np.mean(scores)), "spread": float(np.std(scores, ddof=1))}
            for shots, scores in family.few.items()
        }
    return found
