"""A layer that whitens features; see :mod:`.whitening` for what fits it."""

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

__all__ = ["Whiten"]


class Whiten(nn.Module):
    """Move directions of features to a mean of 0, and divide them by a power of their spread.

    Before it is fitted it changes nothing. Features that are zero stay so.

    Args:
        dim: D of the features.
    """

    mean: Tensor
    """(D,) of features of length 1."""
    matrix: Tensor
    """(D, D), symmetric."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(dim))
        self.register_buffer("matrix", torch.eye(dim))

    def forward(self, features: Tensor) -> Tensor:
        """Whiten features.

        Args:
            features: (N, D), of any length.

        Returns:
            (N, D), not normalised.
        """
        moved = (normalize(features, dim=1) - self.mean) @ self.matrix
        return moved * features.any(1, keepdim=True)
