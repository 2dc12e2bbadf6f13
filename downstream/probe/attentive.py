"""The attentive probe: learned pooling over a video's slices, with a linear classifier on top.

A slice x_s of a video weighs w_s = softmax_s(q . x_s), the video is sum_s w_s x_s; the query q starts at 0,
where this is the linear probe's mean. After Bardes et al., Revisiting Feature Prediction for Learning Visual
Representations from Video, 2024, with a single query and no other layer.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy

from sora_video.base.randomness import generator

from .features import Frozen
from .metrics import quality
from .probes import Prediction, Probe
from .split import Split
from .weights import class_weights, positive_weights

__all__ = ["PROBE", "AttentionPool", "attentive_probe", "loss_weights"]

DECAYS = (0.01, 0.1, 1.0)
"""Weight decays tried."""
DEFAULT_DECAY = 0.1
LEARNING_RATE = 0.01
BATCH = 256
EPOCHS, LEAST_STEPS = 10, 100
MOST_SLICES = 16
"""Slices of a video that are used, evenly spread."""
SEEDS = (0, 1, 2)
"""Orders of the training videos."""

Rows = NDArray[np.int64]


class AttentionPool(nn.Module):
    """Pools slices by one query and classifies the result; several models side by side.

    Args:
        dim: D, of a slice.
        classes: C.
        models: M.
    """

    def __init__(self, dim: int, classes: int, models: int = 1) -> None:
        super().__init__()
        self.query = nn.Parameter(torch.zeros(models, dim))
        self.weight = nn.Parameter(torch.zeros(models, classes, dim))
        self.bias = nn.Parameter(torch.zeros(models, 1, classes))

    def forward(self, slices: Tensor, present: Tensor) -> Tensor:
        """(n, S, D) slices, of which (n, S) are present, to (M, n, C) logits."""
        attention = (slices @ self.query.T).masked_fill(~present[..., None], -torch.inf).softmax(1)
        pooled = (attention.transpose(1, 2) @ slices).transpose(0, 1)
        return pooled @ self.weight.mT + self.bias


@dataclass(frozen=True)
class Task:
    """Slices and targets of a split's rows."""

    slices: Tensor
    """(N, S, D)"""
    present: Tensor
    """(N, S) bool"""
    targets: Tensor
    """(N, C) float"""
    multi: bool

    def standardised(self, rows: Rows) -> "Task":
        """The same with slices of mean 0 and deviation 1 over the given rows."""
        slices = self.slices[rows][self.present[rows]]
        deviation = slices.std(0, correction=0)
        scale = torch.where(deviation > 1e-8, deviation, 1.0)
        return Task((self.slices - slices.mean(0)) / scale, self.present, self.targets, self.multi)


def attentive_probe(frozen: Frozen, split: Split) -> list[Prediction]:
    """Fit the probe with each of :data:`SEEDS`; the weight decay is chosen on folds of the training rows.

    Args:
        frozen: slices of N videos.
        split: labels and rows.

    Returns:
        A prediction of the test rows a seed.
    """
    task = gather(frozen, split)
    sums = np.zeros(len(DECAYS))
    for fit, check in split.pairs:
        rows, checked = split.train[fit], split.train[check]
        scaled = task.standardised(rows)
        for number, scores in enumerate(train(scaled, rows, checked, DECAYS, SEEDS[0])):
            sums[number] += quality(split.targets[checked], scores, split.multi)
    decay = DECAYS[int(sums.argmax())] if split.pairs else DEFAULT_DECAY
    scaled = task.standardised(split.train)
    choice = {"weight decay": decay}
    # Where all rows are one batch, their order changes nothing.
    seeds = SEEDS if len(split.train) > BATCH else SEEDS[:1] * len(SEEDS)
    scores = {seed: train(scaled, split.train, split.test, [decay], seed)[0] for seed in set(seeds)}
    return [Prediction(scores[seed], choice) for seed in seeds]


def gather(frozen: Frozen, split: Split) -> Task:
    """The slices of all videos, side by side."""
    used = np.r_[split.train, split.test]
    rows = {int(entry): frozen.rows(int(entry), MOST_SLICES) for entry in used}
    longest = max(map(len, rows.values()))
    slices = torch.zeros(len(frozen), longest, frozen.vectors.shape[1])
    present = torch.zeros(len(frozen), longest, dtype=torch.bool)
    for entry, views in rows.items():
        slices[entry, : len(views)] = torch.from_numpy(np.array(frozen.vectors[views]))
        present[entry, : len(views)] = True
    return Task(slices, present, torch.from_numpy(split.targets.astype(np.float32)), split.multi)


def train(task: Task, rows: Rows, checked: Rows, decays: Sequence[float], seed: int) -> NDArray[np.float64]:
    """Fit on ``rows`` by AdamW with a cosine schedule.

    Args:
        task: standardised.
        rows: to fit on.
        checked: n rows to classify.
        decays: decoupled weight decay of each of M models, which see the same batches.
        seed: decides the order of the rows.

    Returns:
        (M, n, C) scores.
    """
    model = AttentionPool(task.slices.shape[2], task.targets.shape[1], len(decays))
    optimizer = torch.optim.Adam(model.parameters(), lr=LEARNING_RATE, fused=True)
    weights = loss_weights(task.targets[rows], task.multi)
    parts = -(-len(rows) // BATCH)
    epochs = max(EPOCHS, -(-LEAST_STEPS // parts))
    decay_of_model = torch.tensor(decays)
    for epoch in range(epochs):
        order = rows[generator(seed, "attentive", epoch).permutation(len(rows))]
        for part, batch in enumerate(np.array_split(order, parts)):
            rate = LEARNING_RATE * (1 + math.cos(math.pi * (epoch * parts + part) / (epochs * parts))) / 2
            optimizer.param_groups[0]["lr"] = rate
            loss = loss_of(model(task.slices[batch], task.present[batch]), task.targets[batch], weights, task)
            optimizer.zero_grad()
            torch.autograd.backward(loss)
            with torch.no_grad():  # the decay of AdamW, which torch's has but one of
                model.query.mul_(1 - rate * decay_of_model[:, None])
                model.weight.mul_(1 - rate * decay_of_model[:, None, None])
            optimizer.step()
    with torch.inference_mode():
        logits = model(task.slices[checked], task.present[checked]).double()
        scores: NDArray[np.float64] = (logits.sigmoid() if task.multi else logits.softmax(2)).numpy()
    return scores


def loss_weights(targets: Tensor, multi: bool) -> Tensor:
    """Weights that make classes count alike.

    Args:
        targets: (n, C) 1 where a row has a class.
        multi: whether a row may have several classes.

    Returns:
        (C,) float32, of the classes for cross-entropy, or of the positives for binary cross-entropy.
    """
    weights = (positive_weights if multi else class_weights)(targets.cpu().numpy())
    return torch.from_numpy(weights).to(targets)


def loss_of(logits: Tensor, targets: Tensor, weights: Tensor, task: Task) -> Tensor:
    """The sum of M models' mean losses of a batch, from (M, n, C) logits."""
    models = len(logits)
    each_models = targets.expand(models, -1, -1).flatten(0, 1)
    if task.multi:
        return models * binary_cross_entropy_with_logits(
            logits.flatten(0, 1), each_models, pos_weight=weights
        )
    return models * cross_entropy(logits.flatten(0, 1), each_models.argmax(1), weight=weights)


PROBE = Probe(
    attentive_probe, "a learned query pools the slices, a linear layer classifies; AdamW", "weight decay"
)
