"""A probe's scores as rows to print."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from .metrics import Estimate
from .scores import FeatureScores

__all__ = ["cell", "few_table", "full_table", "headline_table"]

PROTOCOLS = ("linear", "attentive", "fine-tuned", "knn")


def headline_table(scores: Sequence[FeatureScores], headline: str, chance: float) -> list[dict[str, Any]]:
    """A row a kind of features: the headline metric by protocol, and retrieval; the last row is chance.

    Args:
        scores: by features.
        headline: name of the metric.
        chance: the metric of guessing.
    """
    rows = [headline_row(each, headline) for each in scores]
    return [*rows, {"features": "chance", "linear": chance, "knn": chance}]


def headline_row(scores: FeatureScores, headline: str) -> dict[str, Any]:
    """The row of one kind of features."""
    row: dict[str, Any] = {"features": scores.name}
    for protocol in PROTOCOLS:
        if protocol in scores.estimates:
            value = scores.estimates[protocol][headline]
            row[protocol] = value.value
            if protocol == "linear" and value.low is not None:
                row["95 %"] = f"{value.low:.3f} to {value.high:.3f}"
    retrieval = scores.estimates.get("retrieval", {})
    return row | {name: value.value for name, value in retrieval.items()}


def full_table(scores: Sequence[FeatureScores]) -> list[dict[str, Any]]:
    """Every metric with its interval, a row a protocol and kind of features."""
    return [
        {
            "features": each.name,
            "protocol": protocol,
            **{name: cell(value) for name, value in values.items()},
        }
        for each in scores
        for protocol, values in each.estimates.items()
    ]


def cell(value: Estimate) -> str:
    """A number with its interval and its deviation over seeds."""
    text = f"{value.value:.3f}"
    if value.low is not None:
        text += f" ({value.low:.3f} to {value.high:.3f})"
    return text if value.spread is None else f"{text} ± {value.spread:.3f}"


def few_table(scores: Sequence[FeatureScores]) -> list[dict[str, Any]]:
    """Few-shot scores, a row a kind of features."""
    return [
        {
            "features": each.name,
            **{
                f"{shots} a class": f"{np.mean(values):.3f} ± {np.std(values, ddof=1):.3f}"
                for shots, values in each.few.items()
            },
        }
        for each in scores
        if each.few
    ]
