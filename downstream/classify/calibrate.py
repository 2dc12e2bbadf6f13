"""Calibrated confidences by temperature scaling, and metrics of calibration.

Guo et al., On Calibration of Modern Neural Networks, 2017.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax

from sora_video.downstream.probe.metrics import balanced_accuracy

__all__ = ["fit_temperature", "log_loss", "score_logits"]

Logits = NDArray[np.float64]
Codes = NDArray[np.int64]
BINS = 15
"""Of equal width, for the expected calibration error."""
RANGE = (-4.0, 6.0)
"""Logarithms of the temperatures that are tried."""


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
