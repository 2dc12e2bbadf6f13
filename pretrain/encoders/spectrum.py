"""The spread of vectors along its axes, which whitening takes away."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["Spectrum", "fit_spectrum"]

FLOOR = 1e-3
"""Of the mean variance: what is less is taken for rounding."""
ALIKE = 1e-12
"""Mean variance up to which all vectors count as equal."""


class Spectrum(NamedTuple):
    """The mean of vectors, and their variances along axes."""

    mean: NDArray[np.float32]
    """(D,)"""
    variances: NDArray[np.float64]
    """(D,) above 0."""
    axes: NDArray[np.float64]
    """(D, D) a column each."""

    def whitening(self, power: float) -> NDArray[np.float32]:
        """The symmetric matrix that divides by the standard deviation along every axis, to a power.

        Args:
            power: 0 changes nothing, 1 makes all variances 1.

        Returns:
            (D, D), which turns coordinates as little as can be.
        """
        return np.asarray(self.axes * self.variances ** (-power / 2) @ self.axes.T, np.float32)


def fit_spectrum(vectors: NDArray[np.float32]) -> Spectrum | None:
    """Estimate the mean and the covariance of vectors.

    The covariance is shrunk towards that of a sphere as Ledoit & Wolf (A Well-Conditioned Estimator for
    Large-Dimensional Covariance Matrices, 2004) derive, so that few vectors suffice.

    Args:
        vectors: (N, D).

    Returns:
        Their spectrum; None where there are fewer than two, or all are equal.
    """
    if len(vectors) < 2:
        return None
    from sklearn.covariance import LedoitWolf  # which takes longer to import than most searches take

    fitted = LedoitWolf(store_precision=False).fit(vectors.astype(np.float64))
    variances, axes = np.linalg.eigh(fitted.covariance_)
    if variances.mean() <= ALIKE:
        return None
    floored = np.maximum(variances, FLOOR * variances.mean())
    return Spectrum(fitted.location_.astype(np.float32), floored, axes)
