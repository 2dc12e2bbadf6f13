"""Metrics as functions of how often each test row counts, so that a bootstrap is a change of weights.

A metric takes (B, n) weights and gives (B,) values; with weights of 1 it is the plain metric.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from sora_video.base.randomness import generator

__all__ = [
    "Estimate",
    "Metric",
    "average_precision",
    "balanced_accuracy",
    "classification_metrics",
    "draw_values",
    "draw_weights",
    "estimate",
    "interval",
    "mean_of",
    "p_value",
    "quality",
]

Weights = NDArray[np.float64]
Metric = Callable[[Weights], NDArray[np.float64]]
RESAMPLES = 1000
LEVEL = 0.95
BLOCK = 2_000_000
"""Numbers held at once while average precision is resampled."""


def mean_of(values: NDArray[np.generic]) -> Metric:
    """The mean over the rows.

    Args:
        values: (n,) a number of each test row.

    Returns:
        The metric.
    """
    numbers = values.astype(np.float64)
    return lambda weights: weights @ numbers / weights.sum(1)


def class_mean(targets: NDArray[np.bool_], hits: NDArray[np.bool_]) -> Metric:
    """Mean over classes of the fraction of (n, C) ``targets`` in ``hits``; a class without any is ignored."""
    recalled, present = (targets & hits).astype(np.float64), targets.astype(np.float64)

    def metric(weights: Weights) -> NDArray[np.float64]:
        count = weights @ present
        return nan_mean(
            np.divide(weights @ recalled, count, out=np.full_like(count, np.nan), where=count > 0)
        )

    return metric


def balanced_accuracy(truth: NDArray[np.generic], predicted: NDArray[np.generic]) -> float:
    """Mean recall over the classes of ``truth``.

    Args:
        truth: (n,) classes, as names or as numbers.
        predicted: (n,) classes; one that is not in ``truth`` is a wrong answer.

    Returns:
        A value in [0, 1].
    """
    classes = np.unique(truth)
    targets, hits = (column[:, None] == classes for column in (truth, predicted))
    return float(class_mean(targets, hits)(np.ones((1, len(truth))))[0])


def nan_mean(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """(B,) means of the finite of (B, C) values; NaN where there is none."""
    finite = np.isfinite(values)
    count = finite.sum(1)
    total = np.where(finite, values, 0.0).sum(1)
    means = np.divide(total, count, out=np.full(len(values), np.nan), where=count > 0)
    return np.asarray(means)


def average_precision(truth: NDArray[np.bool_], scores: NDArray[np.floating]) -> Metric:
    """Area under the steps of precision over recall, as scikit-learn's ``average_precision_score``.

    Args:
        truth: (n,) whether each row is of the class.
        scores: (n,) greater for rows that are thought to be; rows of equal scores enter together.

    Returns:
        The metric; NaN where no row of the class counts.
    """
    order = np.argsort(-scores, kind="stable")
    ranked, wanted = scores[order], truth[order].astype(np.float64)
    ends = np.flatnonzero(np.append(ranked[1:] != ranked[:-1], True))

    def metric(weights: Weights) -> NDArray[np.float64]:
        sorted_weights = weights[:, order]
        good = np.cumsum(sorted_weights * wanted, axis=1)[:, ends]
        seen = np.cumsum(sorted_weights, axis=1)[:, ends]
        precision = np.divide(good, seen, out=np.zeros_like(good), where=seen > 0)
        area = (np.diff(good, axis=1, prepend=0.0) * precision).sum(1)
        total = good[:, -1]
        share = np.divide(area, total, out=np.full(len(weights), np.nan), where=total > 0)
        return np.asarray(share)

    def in_blocks(weights: Weights) -> NDArray[np.float64]:
        step = max(1, BLOCK // max(1, len(order)))
        return np.concatenate([metric(weights[row : row + step]) for row in range(0, len(weights), step)])

    return in_blocks


def mean_average_precision(targets: NDArray[np.bool_], scores: NDArray[np.floating]) -> Metric:
    """Mean over classes of :func:`average_precision`; a class without test rows is ignored."""
    parts = [average_precision(targets[:, name], scores[:, name]) for name in range(targets.shape[1])]
    return lambda weights: nan_mean(np.stack([part(weights) for part in parts], axis=1))


def classification_metrics(
    targets: NDArray[np.bool_], scores: NDArray[np.floating], multi: bool
) -> dict[str, Metric]:
    """The metrics of predictions; the first is the one that choices and tables go by.

    Args:
        targets: (n, C) the classes of each row.
        scores: (n, C) what is thought of them; of several classes a row, one is assigned from 0.5 on.
        multi: whether a row may have several classes.

    Returns:
        Of one class a row: balanced accuracy, top-1, top-5 where there are more classes, mAP.
        Of several: mAP, and balanced accuracy, the mean over classes of that of having a class or not.
    """
    precision = mean_average_precision(targets, scores)
    if multi:
        assigned = scores >= 0.5
        has, has_not = class_mean(targets, assigned), class_mean(~targets, ~assigned)
        return {"mAP": precision, "balanced": lambda weights: (has(weights) + has_not(weights)) / 2}
    chosen = scores.argmax(1)
    hits = np.zeros_like(targets)
    hits[np.arange(len(chosen)), chosen] = True
    metrics = {"balanced": class_mean(targets, hits), "top-1": mean_of(np.asarray((targets & hits).any(1)))}
    if targets.shape[1] > 5:
        five = np.zeros_like(targets)
        np.put_along_axis(five, np.argsort(-scores, axis=1, kind="stable")[:, :5], True, axis=1)
        metrics["top-5"] = mean_of(np.asarray((targets & five).any(1)))
    return {**metrics, "mAP": precision}


def quality(targets: NDArray[np.bool_], scores: NDArray[np.floating], multi: bool) -> float:
    """The metric that choices are made by: balanced accuracy, or mAP where a row may have several classes.

    Args:
        targets: (n, C) the classes of each row.
        scores: (n, C) by a classifier.
        multi: whether a row may have several classes.

    Returns:
        A value in [0, 1].
    """
    metric = next(iter(classification_metrics(targets, scores, multi).values()))
    return float(metric(np.ones((1, len(targets))))[0])


@dataclass(frozen=True)
class Estimate:
    """A metric's mean over seeds."""

    value: float
    low: float | None
    """Lower end of the 95 % bootstrap interval over videos and seeds, where it was computed."""
    high: float | None
    spread: float | None = None
    """Standard deviation over seeds, where there are several."""

    def as_json(self) -> Mapping[str, float | None]:
        """Plain values."""
        return asdict(self)


def draw_weights(groups: NDArray[np.str_], resamples: int = RESAMPLES) -> Weights | None:
    """How often each test row counts in each resample; whole groups are drawn, with replacement.

    Args:
        groups: (n,) what is drawn together.
        resamples: B.

    Returns:
        (B, n) whole numbers, the same ones for the same groups; None where the rows are one group, of which
        every resample is the same.
    """
    _, codes = np.unique(groups, return_inverse=True)
    count = int(codes.max()) + 1
    if count == 1:
        return None
    drawn = generator(0, "bootstrap").multinomial(count, np.full(count, 1 / count), size=resamples)
    return drawn[:, codes].astype(np.float64)


def draw_values(metrics: Sequence[Metric], weights: Weights, draw: int = 0) -> NDArray[np.float64]:
    """A metric's mean over seeds, each resample of other videos and other seeds.

    Args:
        metrics: the same one of each seed.
        weights: (B, n) from :func:`draw_weights`.
        draw: another draw of the seeds.

    Returns:
        (B,) values.
    """
    values = np.stack([metric(weights) for metric in metrics])
    if len(metrics) == 1:
        return np.asarray(values[0])
    seeds = generator(draw, "bootstrap of seeds").integers(len(metrics), size=(values.shape[1], len(metrics)))
    return np.asarray(values[seeds, np.arange(values.shape[1])[:, None]].mean(1))


def interval(values: NDArray[np.float64]) -> tuple[float, float]:
    """The percentile interval of a bootstrap.

    Args:
        values: (B,) of the resamples; NaN is ignored.

    Returns:
        The ends between which 95 % of the values lie.
    """
    low, high = np.nanquantile(values, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)


def p_value(gains: NDArray[np.float64]) -> float:
    """Two-sided p of a difference, from the resamples on the other side of 0: 2 (k + 1) / (B + 1), at most 1.

    The 1 stands for the sample itself, so that p is never 0 (Davison and Hinkley, Bootstrap Methods and their
    Application, 1997).

    Args:
        gains: (B,) resampled differences.

    Returns:
        p, above 0.
    """
    other_side = min(int((gains <= 0).sum()), int((gains >= 0).sum()))
    return min(1.0, 2 * (other_side + 1) / (len(gains) + 1))


def estimate(metrics: Sequence[Metric], weights: Weights | None, rows: int) -> Estimate:
    """A metric with its interval.

    Args:
        metrics: the same one of each seed.
        weights: (B, n) from :func:`draw_weights`; None: there is no interval.
        rows: n.

    Returns:
        The mean over seeds with its interval and its deviation.
    """
    plain = np.array([metric(np.ones((1, rows)))[0] for metric in metrics])
    spread = float(plain.std(ddof=1)) if len(plain) > 1 else None
    low, high = (None, None) if weights is None else interval(draw_values(metrics, weights))
    return Estimate(float(plain.mean()), low, high, spread)
