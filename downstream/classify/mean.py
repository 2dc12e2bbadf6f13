"""The mean of a video's slices."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import normalize

from sora_video.pretrain.encoders.embeddings import Embeddings

from .parts import PoolConfig
from .pool import Pool, Rows

__all__ = ["MeanPool"]


class Sum(NamedTuple):
    """What is kept of a video's slices."""

    total: Tensor
    """(D,) their sum."""
    slices: int


class MeanPool(Pool):
    """f = normalise(mean_t x_t), which has no parameters.

    Args:
        config: has no settings.
        dim: D.
    """

    settings = PoolConfig

    def __init__(self, config: PoolConfig, dim: int) -> None:
        super().__init__(config, dim)
        self.register_buffer("zero", torch.zeros(dim), persistent=False)

    @classmethod
    def training_rows(cls, embeddings: Embeddings, rows_by_video: Sequence[NDArray[np.int64]]) -> Rows:
        """One row a video, as its mean does not change in training.

        Args:
            embeddings: all slices.
            rows_by_video: (N) rows of each video's slices; a video without any gets zeros.
        """
        means = np.zeros((len(rows_by_video), 1, embeddings.dim))
        for video, rows in enumerate(rows_by_video):
            if len(rows):
                means[video, 0] = embeddings.vectors[rows].mean(0)
        return Rows(normalize(torch.from_numpy(means), dim=2), torch.ones(len(means), 1, dtype=torch.bool))

    def forward(self, rows: Rows) -> Tensor:
        """(N, D) features of N videos."""
        total = (rows.slices * rows.present[..., None]).sum(1)
        return normalize(total / rows.present.sum(1, keepdim=True), dim=1)

    def start(self) -> Sum:
        """No slice."""
        return Sum(torch.zeros_like(self.get_buffer("zero")), 0)

    def take(self, state: Sum, slices: Tensor) -> Sum:
        """Add (n, D) slices."""
        return Sum(state.total + slices.sum(0), state.slices + len(slices))

    def end(self, state: Sum) -> Tensor:
        """(D,) feature."""
        return normalize(state.total / state.slices, dim=0)
