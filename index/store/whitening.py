"""Whitening: embeddings without what all slices of a library share.

Embeddings of one encoder lie close together and spread along few directions, so that unrelated slices have
high cosines. Less the library's mean, and divided by its spread along every direction, they have cosines
around 0, and copies still around 1, whatever the encoder (Jégou & Chum 2012; the descriptor tracks of DISC,
Douze et al. 2021, and VSC2022, Pizzi et al. 2024).

A copy that was cropped or compressed again differs from its film along the directions of little spread, which
whitening enlarges. So videos are ranked by a milder one, between none and the whole; how far the best of them
stands out from others is told by the whole.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

from sora_video.base.errors import LibraryError
from sora_video.pretrain.encoders.spectrum import fit_spectrum

__all__ = ["ALL", "Whitening", "fit_whitening", "from_bytes", "to_bytes"]

ALL = ""
"""The name of the whitening of whole embeddings."""
TINY = 1e-12
MILD = 0.5
"""Power of the matrix by which videos are ranked; 0 is no whitening, 1 the whole. Chosen with excerpts."""


@dataclass(frozen=True, eq=False)
class Whitening:
    """A change of coordinates.

    The likeness of x and y is the cosine of M (x - m) and M (y - m). As M is symmetric, it is also the inner
    product of x's *direction*, M M (x - m) / |M (x - m)|, and y - m, over y's *length* |M (y - m)|: stored
    vectors are compared as they are stored, once their lengths are known.
    """

    mean: NDArray[np.float32]
    """(D,) m, which becomes the origin."""
    matrix: NDArray[np.float32]
    """(D, D) M, symmetric, from old coordinates to new ones, which turns them as little as can be."""
    mild: NDArray[np.float32] | None = None
    """(D, D) M^``MILD``; None: computed when it is asked for, which takes a second where D is large."""

    @cached_property
    def milder(self) -> "Whitening":
        """The change of coordinates M^``MILD``, by which videos are ranked."""
        if self.mild is not None:
            return Whitening(self.mean, self.mild)
        scales, axes = np.linalg.eigh(self.matrix.astype(np.float64))
        return Whitening(self.mean, np.asarray(axes * np.maximum(scales, 0) ** MILD @ axes.T, np.float32))

    def __call__(self, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
        """(N, D) vectors in the new coordinates, of length 1; the mean itself stays 0."""
        moved = (vectors - self.mean) @ self.matrix
        white: NDArray[np.float32] = moved / np.maximum(np.linalg.norm(moved, axis=1, keepdims=True), TINY)
        return white

    def directions(self, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
        """The directions of queries.

        Args:
            vectors: (Q, D) embeddings.

        Returns:
            (Q, D).
        """
        directions: NDArray[np.float32] = self(vectors) @ self.matrix
        return directions

    def lengths(self, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
        """The lengths of stored vectors after whitening.

        Args:
            vectors: (N, D) embeddings.

        Returns:
            (N,) above 0.
        """
        moved = (vectors - self.mean) @ self.matrix
        lengths: NDArray[np.float32] = np.maximum(np.linalg.norm(moved, axis=1), TINY).astype(np.float32)
        return lengths

    def likeness(
        self, directions: NDArray[np.float32], vectors: NDArray[np.float32], lengths: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        """The likeness of queries to stored vectors.

        Args:
            directions: (Q, D) of the queries.
            vectors: (N, D) as they are stored.
            lengths: (N,) of these.

        Returns:
            (Q, N) in [-1, 1] up to rounding.
        """
        products: NDArray[np.float32] = directions @ (vectors - self.mean).T
        return products / lengths


def to_bytes(whitenings: Mapping[str, Whitening]) -> bytes:
    """Whitenings as a safetensors file.

    Args:
        whitenings: by the aspect that they are of; that of all is under :data:`ALL`.
    """
    return save(
        {
            prefix_of(name) + key: array
            for name, whitening in whitenings.items()
            for key, array in arrays_of(whitening).items()
        }
    )


def from_bytes(data: bytes, dims: Mapping[str, int]) -> dict[str, Whitening]:
    """Read what :func:`to_bytes` made.

    Args:
        data: the file.
        dims: by aspect, of how many dimensions its whitening is.

    Returns:
        The whitening of each.

    Raises:
        LibraryError: it is not such a file.
    """
    try:
        arrays = load(data)
        stored = {
            name: Whitening(arrays[prefix + "mean"], arrays[prefix + "matrix"], arrays.get(prefix + "mild"))
            for name, prefix in zip(dims, map(prefix_of, dims), strict=True)
        }
    except (SafetensorError, KeyError, ValueError) as error:
        raise LibraryError("is damaged: it has no whitening") from error
    return {name: checked(whitening, dims[name]) for name, whitening in stored.items()}


def arrays_of(whitening: Whitening) -> dict[str, NDArray[np.float32]]:
    """The arrays of one whitening by name."""
    return {"mean": whitening.mean, "matrix": whitening.matrix, "mild": whitening.milder.matrix}


def prefix_of(name: str) -> str:
    """How the names of the arrays of one whitening begin."""
    return f"{name}." if name else ""


def checked(whitening: Whitening, dim: int) -> Whitening:
    """A whitening as it was stored; libraries of older versions have no mild one.

    Raises:
        LibraryError: it is none of this dimension.
    """
    square = (dim, dim)
    expected = {"mean": (dim,), "matrix": square, "mild": square}
    arrays = {name: array for name in expected if (array := getattr(whitening, name)) is not None}
    if any(array.shape != expected[name] or array.dtype != np.float32 for name, array in arrays.items()):
        raise LibraryError(f"is damaged: it is not a whitening of dim={dim}")
    if not all(np.isfinite(array).all() for array in arrays.values()):
        raise LibraryError("is damaged: it holds numbers that are not finite")
    return whitening


def fit_whitening(vectors: NDArray[np.float32]) -> Whitening:
    """Fit the whitening of some vectors.

    Args:
        vectors: (N, D) L2-normalised.

    Returns:
        Their whitening; where there are fewer than two, or all are equal, one that changes nothing.
    """
    spectrum = fit_spectrum(vectors)
    if spectrum is None:
        dim = vectors.shape[1]
        as_is = np.eye(dim, dtype=np.float32)
        return Whitening(np.zeros(dim, np.float32), as_is, as_is)
    return Whitening(spectrum.mean, spectrum.whitening(1), spectrum.whitening(MILD))
