"""Weights that make classes count alike, whatever their number of rows."""

import numpy as np
from numpy.typing import NDArray

__all__ = ["class_weights", "positive_weights"]


def class_weights(targets: NDArray[np.generic]) -> NDArray[np.float64]:
    """Weights for cross-entropy, as scikit-learn's ``class_weight="balanced"``.

    Args:
        targets: (n, C) 1 where a row has a class; one class a row.

    Returns:
        (C,) weights that average to 1 over the rows; 0 for a class without rows.
    """
    counts = targets.sum(0).astype(np.float64)
    present = np.count_nonzero(counts)
    weights = np.divide(len(targets), present * counts, out=np.zeros_like(counts), where=counts > 0)
    return np.asarray(weights)


def positive_weights(targets: NDArray[np.generic]) -> NDArray[np.float64]:
    """Weights of the rows that have a class, so that having it and not having it count alike.

    Args:
        targets: (n, C) 1 where a row has a class; any number of classes a row.

    Returns:
        (C,) rows without the class over rows with it.
    """
    counts = targets.sum(0).astype(np.float64)
    return np.asarray(np.maximum(len(targets) - counts, 1) / np.maximum(counts, 1))
