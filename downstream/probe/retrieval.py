"""Retrieval: which of a gallery's videos are most like a query."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .metrics import Metric, mean_of
from .split import Labels, Split

__all__ = ["NEVER", "RANKS", "Retrieval", "centred", "recall_at", "retrieve"]

Features = NDArray[np.float32]
RANKS = (1, 5, 10, 20, 50)
"""Values of k for R@k."""
BLOCK = 256
"""Queries ranked at once."""
NEVER = int(np.iinfo(np.int64).max)
"""Rank of what is not in the gallery, beyond every k."""


@dataclass(frozen=True)
class Retrieval:
    """Where each query has its class in the gallery."""

    first: NDArray[np.int64]
    """(Q,) rank of the first video of its class, from 1; :data:`NEVER` where the gallery has none."""
    precision: NDArray[np.float64]
    """(Q,) average precision of the whole ranking."""

    def metrics(self) -> dict[str, Metric]:
        """R@k, and mAP over the queries."""
        recalls = {f"R@{k}": mean_of(self.first <= k) for k in RANKS}
        return {**recalls, "mAP": mean_of(self.precision)}


def centred(features: Features, split: Split) -> Features:
    """Features less the mean of the training rows alone, L2-normalised again.

    Args:
        features: (N, D).
        split: names the training rows.

    Returns:
        (N, D) features.
    """
    moved = features - features[split.train].mean(0)
    return np.asarray(moved / np.maximum(np.linalg.norm(moved, axis=1, keepdims=True), 1e-12))


def retrieve(features: Features, split: Split) -> Retrieval:
    """Rank the training videos by cosine for each test video; those that share a class are wanted.

    Args:
        features: (N, D) L2-normalised.
        split: labels and rows; gallery train, queries test.

    Returns:
        Ranks and precisions of the queries.
    """
    targets = split.targets.astype(np.float32)
    wanted = targets[split.test], targets[split.train]
    first, precision = [], []
    for block in range(0, len(split.test), BLOCK):
        part = slice(block, block + BLOCK)
        similarity = features[split.test[part]] @ features[split.train].T
        order = np.argsort(-similarity, axis=1, kind="stable")
        hits = np.take_along_axis(wanted[0][part] @ wanted[1].T > 0, order, axis=1)
        first.append(np.where(hits.any(1), hits.argmax(1) + 1, NEVER))
        at = np.cumsum(hits, axis=1) / np.arange(1, hits.shape[1] + 1)
        precision.append((at * hits).sum(1) / np.maximum(1, hits.sum(1)))
    return Retrieval(np.concatenate(first).astype(np.int64), np.concatenate(precision))


def recall_at(
    gallery: Features,
    gallery_labels: Labels,
    queries: Features,
    query_labels: Labels,
    ranks: Sequence[int] = (1, 5, 10),
) -> Mapping[str, float]:
    """R@k: the fraction of queries with a video of their class among the k most similar of the gallery.

    Args:
        gallery: (G, D) L2-normalised features.
        gallery_labels: (G,) classes.
        queries: (Q, D) L2-normalised features.
        query_labels: (Q,) classes.
        ranks: values of k.

    Returns:
        ``{"R@1": ..., ...}`` in [0, 1]; a query whose class is not in the gallery is never found.
    """
    labels = np.concatenate([gallery_labels, query_labels])
    rows = np.arange(len(labels))
    split = Split(labels, labels, rows[: len(gallery)], rows[len(gallery) :])
    first = retrieve(np.concatenate([gallery, queries]), split).first
    return {f"R@{k}": float((first <= k).mean()) for k in ranks}
