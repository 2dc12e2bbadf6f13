"""A mean of a video's slices that a learned query weights."""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from .parts import PoolConfig
from .pool import Pool, Rows

__all__ = ["QueryPool"]


class WeightedSum(NamedTuple):
    """What is kept of a video's slices."""

    peak: Tensor
    """() greatest score."""
    weight: Tensor
    """() sum of exp(score - peak)."""
    total: Tensor
    """(D,) sum of the slices with these weights."""


class QueryPool(Pool):
    """f = normalise(Σ_t w_t x_t) with w = softmax_t(√D q·x_t) and a learned query q, which starts at 0.

    Args:
        config: has no settings.
        dim: D.
    """

    settings = PoolConfig

    def __init__(self, config: PoolConfig, dim: int) -> None:
        super().__init__(config, dim)
        self.query = nn.Parameter(torch.zeros(dim))

    def scores(self, slices: Tensor) -> Tensor:
        """(..., D) slices to (...) scores."""
        scores: Tensor = slices @ self.query * self.dim**0.5
        return scores

    def forward(self, rows: Rows) -> Tensor:
        """(N, D) features of N videos."""
        weights = self.scores(rows.slices).masked_fill(~rows.present, -torch.inf).softmax(1)
        return normalize((weights[..., None] * rows.slices).sum(1), dim=1)

    def start(self) -> WeightedSum:
        """No slice."""
        return WeightedSum(
            self.query.new_tensor(-torch.inf), self.query.new_zeros(()), torch.zeros_like(self.query)
        )

    def take(self, state: WeightedSum, slices: Tensor) -> WeightedSum:
        """Add (n, D) slices, whose scores may exceed those before."""
        scores = self.scores(slices)
        peak = torch.maximum(state.peak, scores.max())
        before, added = (state.peak - peak).exp(), (scores - peak).exp()
        return WeightedSum(peak, state.weight * before + added.sum(), state.total * before + added @ slices)

    def end(self, state: WeightedSum) -> Tensor:
        """(D,) feature."""
        return normalize(state.total / state.weight, dim=0)
