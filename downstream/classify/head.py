"""One task's classifier: a pool, standardisation and a head, trained by L-BFGS on all rows at once.

A pool makes one L2-normalised feature of a video's slices, which is standardised by the mean and deviation of
the training rows; a head classifies it. One slice is a video of one slice.
"""

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from .parts import HEADS, POOLS, HeadConfig, PoolConfig
from .pool import Pool, Rows

__all__ = ["Head", "fit"]

STEPS = 300
"""Most iterations of L-BFGS."""


class Head(nn.Module):
    """One task's classifier.

    Args:
        dim: D, features of a slice.
        classes: K.
        head: which head classifies, and its settings.
        pool: how slices become a video, and its settings.
    """

    mean: Tensor
    scale: Tensor

    def __init__(self, dim: int, classes: int, head: HeadConfig, pool: PoolConfig) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(dim))
        self.register_buffer("scale", torch.ones(dim))
        self.pool: Pool = POOLS.load(pool.name)(pool, dim)
        self.body: nn.Module = HEADS.load(head.name)(head, dim, classes)

    def standardise(self, features: Tensor) -> None:
        """Set mean and deviation to those of (n, D) features."""
        self.mean.copy_(features.mean(0))
        deviation = features.std(0, correction=0)
        self.scale.copy_(torch.where(deviation > 1e-9, deviation, 1.0))

    def classify(self, features: Tensor) -> Tensor:
        """(..., D) features to (..., K) logits."""
        logits: Tensor = self.body((features - self.mean) / self.scale)
        return logits

    def forward(self, rows: Rows) -> Tensor:
        """(N, K) logits."""
        return self.classify(self.pool(rows))


def fit(head: Head, rows: Rows, codes: Tensor, weights: Tensor, strength: float) -> None:
    """Minimise mean_i w_i CE_i + |θ|² / (2 C N) over all weights θ but biases.

    For a linear head on pooled slices this is scikit-learn's ``LogisticRegression(C=strength)`` with sample
    weights w.

    Args:
        head: the start; trained in place.
        rows: N videos.
        codes: (N,) classes.
        weights: (N,) of the videos.
        strength: C.
    """
    decayed = [weight for name, weight in head.named_parameters() if not name.endswith("bias")]
    solver = torch.optim.LBFGS(
        head.parameters(),
        max_iter=STEPS,
        tolerance_grad=1e-6,
        tolerance_change=1e-10,
        history_size=20,
        line_search_fn="strong_wolfe",
    )

    def loss() -> Tensor:
        solver.zero_grad()
        errors = cross_entropy(head(rows), codes, reduction="none") * weights
        decay = sum((weight.square().sum() for weight in decayed), torch.zeros((), dtype=errors.dtype))
        value: Tensor = errors.mean() + decay / (2 * strength * len(codes))
        value.backward()  # type: ignore[no-untyped-call]
        return value

    solver.step(loss)  # type: ignore[no-untyped-call]
