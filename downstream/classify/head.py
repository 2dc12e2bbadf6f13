"""Light heads on the slices of a video, trained by L-BFGS on all rows at once.

The feature of a video is the L2-normalised weighted mean of its slices,

    f = normalise(Σ_t w_t x_t),   w = softmax_t(s(x_t)),

with s = 0 (``mean``) or s(x) = √D q·x with a learned query q (``attention``), standardised by the training
rows' mean and deviation. A linear layer, or an MLP with one hidden layer, classifies it. One slice is a video
of one slice, and slices may come one after another: a state of D + 2 numbers is all that is kept of them.
"""

from typing import Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, normalize

__all__ = ["Head", "HeadKind", "PoolKind", "Pooled", "Rows", "fit"]

HeadKind = Literal["linear", "mlp"]
PoolKind = Literal["mean", "attention"]
HIDDEN = 256
"""Width of the MLP."""
STEPS = 300
"""Most iterations of L-BFGS."""


class Rows(NamedTuple):
    """Slices of N videos, at most S of each."""

    slices: Tensor
    """(N, S, D) L2-normalised."""
    there: Tensor
    """(N, S) bool, which slices there are; one a video at least."""

    def select(self, rows: NDArray[np.int64]) -> "Rows":
        """Some of the videos."""
        chosen = torch.from_numpy(rows)
        return Rows(self.slices[chosen], self.there[chosen])


class Pooled(NamedTuple):
    """What is kept of a video's slices so far."""

    peak: Tensor
    """() greatest score."""
    weight: Tensor
    """() sum of exp(score - peak)."""
    total: Tensor
    """(D,) sum of the slices with these weights."""


class Head(nn.Module):
    """One task's classifier.

    Args:
        dim: D, features of a slice.
        classes: K.
        kind: linear, or an MLP with 256 hidden units.
        pool: how slices become a video.
    """

    mean: Tensor
    scale: Tensor

    def __init__(self, dim: int, classes: int, kind: HeadKind, pool: PoolKind) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(dim))
        self.register_buffer("scale", torch.ones(dim))
        self.query = nn.Parameter(torch.zeros(dim)) if pool == "attention" else None
        hidden = nn.Linear(dim, HIDDEN), nn.GELU(), nn.Linear(HIDDEN, classes)
        self.body = nn.Sequential(*hidden) if kind == "mlp" else nn.Linear(dim, classes)
        if isinstance(self.body, nn.Linear):  # a convex problem: start where no class is preferred
            nn.init.zeros_(self.body.weight)
            nn.init.zeros_(self.body.bias)

    def scores(self, slices: Tensor) -> Tensor:
        """(..., D) slices to (...) scores."""
        if self.query is None:
            return slices.new_zeros(slices.shape[:-1])
        scores: Tensor = slices @ self.query * slices.shape[-1] ** 0.5
        return scores

    def features(self, rows: Rows) -> Tensor:
        """(N, D) features before they are standardised."""
        weights = self.scores(rows.slices).masked_fill(~rows.there, -torch.inf).softmax(1)
        return normalize((weights[..., None] * rows.slices).sum(1), dim=1)

    def classify(self, features: Tensor) -> Tensor:
        """(..., D) features to (..., K) logits."""
        logits: Tensor = self.body((features - self.mean) / self.scale)
        return logits

    def forward(self, rows: Rows) -> Tensor:
        """(N, K) logits."""
        return self.classify(self.features(rows))

    def begin(self) -> Pooled:
        """A video of which no slice has been seen."""
        return Pooled(self.mean.new_tensor(-torch.inf), self.mean.new_zeros(()), torch.zeros_like(self.mean))

    def take(self, state: Pooled, slices: Tensor) -> Pooled:
        """A video with (n, D) more slices."""
        scores = self.scores(slices)
        peak = torch.maximum(state.peak, scores.max())
        old, new = (state.peak - peak).exp(), (scores - peak).exp()
        return Pooled(peak, state.weight * old + new.sum(), state.total * old + new @ slices)

    def end(self, state: Pooled) -> Tensor:
        """(K,) logits of a video."""
        return self.classify(normalize(state.total / state.weight, dim=0))


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
