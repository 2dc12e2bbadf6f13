"""Calibrated confidences by temperature scaling, where that helps, and metrics of calibration.

Guo et al., On Calibration of Modern Neural Networks, 2017.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax

from sora_video.downstream.probe.metrics import balanced_accuracy

__all__ = ["Calibration", "calibrate", "fit_temperature", "log_loss", "score_logits"]

Logits = NDArray[np.float64]
Codes = NDArray[np.int64]
BINS = 15
"""Of equal width, for the expected calibration error."""
RANGE = (-4.0, 6.0)
"""Logarithms of the temperatures that are tried."""


@dataclass(frozen=True)
class Calibration:
    """A temperature, and what it does to rows whose group neither it nor the head has seen."""

    fitted: float
    """The temperature that fits all of these rows best."""
    kept: bool
    """Whether it is used: whether log loss is lower with it."""
    log_loss: float
    """With temperatures."""
    log_loss_uncalibrated: float
    calibration_error: float
    """With temperatures."""
    calibration_error_uncalibrated: float

    @property
    def temperature(self) -> float:
        """The divisor of logits: the one that was fitted, or 1."""
        return self.fitted if self.kept else 1.0


def calibrate(logits: Logits, codes: Codes, folds: Sequence[Codes]) -> Calibration:
    """Fit a temperature, and keep it only where temperatures lower the log loss of unknown rows.

    Args:
        logits: (N, K), of each fold's rows by a head that was not trained on their groups.
        codes: (N,) true classes.
        folds: rows of each fold; those that are in none are ignored. The temperature that a fold's rows are
            judged by is fitted to the other folds.

    Returns:
        The temperature and both scores.
    """
    checked = np.concatenate(folds)
    scaled = logits.copy()
    for fold in folds:
        others = np.setdiff1d(checked, fold)
        if len(fold) and len(others):
            scaled[fold] /= fit_temperature(logits[others], codes[others])
    before, after = (score_logits(each[checked], codes[checked]) for each in (logits, scaled))
    return Calibration(
        fitted=fit_temperature(logits[checked], codes[checked]),
        kept=after["log_loss"] < before["log_loss"],
        log_loss=after["log_loss"],
        log_loss_uncalibrated=before["log_loss"],
        calibration_error=after["calibration_error"],
        calibration_error_uncalibrated=before["calibration_error"],
    )


def fit_temperature(logits: Logits, codes: Codes) -> float:
    """The temperature T that minimises the log loss of softmax(logits / T); the problem is convex in 1 / T.

    Args:
        logits: (N, K) of rows that the head was not trained on.
        codes: (N,) their classes.

    Returns:
        T, above 0.
    """
    minimum = minimize_scalar(
        lambda log_t: log_loss(logits / np.exp(log_t), codes), bounds=RANGE, method="bounded"
    )
    return float(np.exp(minimum.x))


def log_loss(logits: Logits, codes: Codes, weights: NDArray[np.float64] | None = None) -> float:
    """Mean negative log probability of the true class, in nats; rows may have weights.

    Args:
        logits: (N, K).
        codes: (N,) true classes.
        weights: (N,) of the rows; None: all alike.

    Returns:
        A number in nats, at least 0.
    """
    losses = -log_softmax(logits, axis=1)[np.arange(len(codes)), codes]
    return float(np.average(losses, weights=weights))


def calibration_error(logits: Logits, codes: Codes) -> float:
    """Expected calibration error: mean over rows of |accuracy - confidence| of the row's bin, in [0, 1]."""
    chances = np.exp(log_softmax(logits, axis=1))
    confidence, right = chances.max(1), chances.argmax(1) == codes
    bins = np.minimum((confidence * BINS).astype(int), BINS - 1)
    gaps = [abs((right[bins == number] - confidence[bins == number]).sum()) for number in range(BINS)]
    return float(sum(gaps) / len(codes))


def score_logits(logits: Logits, codes: Codes) -> dict[str, float]:
    """Accuracy, balanced accuracy, log loss and expected calibration error of rows.

    Args:
        logits: (N, K).
        codes: (N,) true classes.

    Returns:
        The metrics by name, and the number of rows.
    """
    predicted = logits.argmax(1)
    return {
        "rows": len(codes),
        "accuracy": float(np.mean(predicted == codes)),
        "balanced_accuracy": balanced_accuracy(codes, predicted),
        "log_loss": log_loss(logits, codes),
        "calibration_error": calibration_error(logits, codes),
    }
