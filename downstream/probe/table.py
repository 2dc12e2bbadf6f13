"""A probe's scores as rows to print."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from .metrics import Estimate
from .scores import FeatureScores

__all__ = ["cell", "few_table", "full_table", "headline_row"]


def headline_row(scores: FeatureScores, headline: str) -> dict[str, Any]:
    """The headline metric by protocol, the first with its interval, and all metrics of retrieval.

    Args:
        scores: of one kind of features.
        headline: name of the metric.

    Returns:
        A row to print.
    """
    row: dict[str, Any] = {"features": scores.name}
    for number, protocol in enumerate(scores.predictions):
        value = scores.estimates[protocol][headline]
        row[protocol] = value.value
        if number == 0 and value.low is not None:
            row["95 %"] = f"{value.low:.3f} to {value.high:.3f}"
    retrieval = scores.estimates.get("retrieval", {})
    return row | {name: value.value for name, value in retrieval.items()}


def full_table(scores: Sequence[FeatureScores]) -> list[dict[str, Any]]:
    """Every metric with its interval.

    Args:
        scores: by kind of features.

    Returns:
        A row to print for each protocol and kind of features.
    """
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
    """A number with its interval and its deviation over seeds, where it has them.

    Args:
        value: the estimate.

    Returns:
        Text such as ``"0.917 (0.800 to 1.000) ± 0.012"``.
    """
    text = f"{value.value:.3f}"
    if value.low is not None:
        text += f" ({value.low:.3f} to {value.high:.3f})"
    return text if value.spread is None else f"{text} ± {value.spread:.3f}"


def few_table(scores: Sequence[FeatureScores]) -> list[dict[str, Any]]:
    """Few-shot scores as mean and deviation over draws and seeds.

    Args:
        scores: by kind of features.

    Returns:
        A row to print for each kind of features that has any.
    """
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
