"""Whitening: embeddings without what all slices of a library share.

Embeddings of one encoder lie close together and spread along few directions, so that unrelated slices have
high cosines. Less the library's mean, and divided by its spread along every direction, they have cosines
around 0, and copies still around 1, whatever the encoder (Jégou & Chum 2012; the descriptor tracks of DISC,
Douze et al. 2021, and VSC2022, Pizzi et al. 2024). The covariance is shrunk towards that of a sphere as
Ledoit & Wolf (2004) derive, so that few slices suffice.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.covariance import LedoitWolf

__all__ = ["Whitening", "fit_whitening"]

FLOOR = 1e-3
"""Of the mean variance: what is less is taken for rounding."""
ALIKE = 1e-12
"""Mean variance up to which all vectors count as equal."""
TINY = 1e-12


@dataclass(frozen=True, eq=False)
class Whitening:
    """A change of coordinates."""

    mean: NDArray[np.float32]
    """(D,) what becomes the origin."""
    matrix: NDArray[np.float32]
    """(D, D) symmetric, from old coordinates to new ones, which turns them as little as can be."""

    def __call__(self, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
        """(N, D) vectors in the new coordinates, of length 1; the mean itself stays 0."""
        moved = (vectors - self.mean) @ self.matrix
        found: NDArray[np.float32] = moved / np.maximum(np.linalg.norm(moved, axis=1, keepdims=True), TINY)
        return found


def fit_whitening(vectors: NDArray[np.float32]) -> Whitening:
    """The whitening of (N, D) vectors; where all are equal it changes nothing."""
    dim = vectors.shape[1]
    as_they_are = Whitening(np.zeros(dim, np.float32), np.eye(dim, dtype=np.float32))
    if len(vectors) < 2:
        return as_they_are
    fitted = LedoitWolf().fit(vectors.astype(np.float64))
    variances, axes = np.linalg.eigh(fitted.covariance_)
    if variances.mean() <= ALIKE:
        return as_they_are
    matrix = axes / np.sqrt(np.maximum(variances, FLOOR * variances.mean())) @ axes.T
    return Whitening(fitted.location_.astype(np.float32), matrix.astype(np.float32))
