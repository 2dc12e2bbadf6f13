"""The kNN probe: a weighted vote of the nearest training rows, and the plain nearest neighbour."""

import numpy as np
from numpy.typing import NDArray

from sora_video.pretrain.encoders.neighbours import TEMPERATURE, nearest, tally

from .features import Frozen
from .metrics import quality
from .probes import Prediction, Probe
from .split import Labels, Split
from .weights import class_weights

__all__ = ["PROBE", "knn_probe", "nearest_predict", "nearest_rows"]

Features = NDArray[np.float32]
Scores = NDArray[np.float64]
Targets = NDArray[np.bool_]
NEIGHBOURS = (1, 3, 5, 10, 20)
"""Values of k tried."""
DEFAULT_NEIGHBOURS = 5
TEMPERATURES = (TEMPERATURE, 0.02, 0.2)
"""Temperatures tried."""
BLOCK = 1024
"""Rows compared at once, to bound memory."""


def predict(frozen: Frozen, split: Split) -> list[Prediction]:
    """The probe on the mean of each video's views."""
    return [knn_probe(frozen.pooled, split)]


def knn_probe(features: Features, split: Split) -> Prediction:
    """A weighted vote of the k most similar training rows.

    A vote has the weight exp(cosine / T); where a row has one class, divided by the class's number of
    training rows. k and T are chosen as C is in :func:`.linear.linear_probe_scores`.

    Args:
        features: (N, D), one row a video, L2-normalised.
        split: labels and rows.

    Returns:
        Shares of the votes for the test rows' classes, k and T.
    """
    train, targets = features[split.train], split.targets[split.train]
    choices = [(k, temperature) for temperature in TEMPERATURES for k in NEIGHBOURS]
    sums = np.zeros(len(choices))
    for rows, check in split.pairs:
        votes = nearest(train[check], train[rows], max(NEIGHBOURS))
        for number, (k, temperature) in enumerate(choices):
            scores = shares(*votes, targets[rows], k, temperature, split.multi)
            sums[number] += quality(targets[check], scores, split.multi)
    k, temperature = choices[int(sums.argmax())] if split.pairs else (DEFAULT_NEIGHBOURS, TEMPERATURE)
    votes = nearest(features[split.test], train, k)
    scores = shares(*votes, targets, k, temperature, split.multi)
    return Prediction(scores, {"k": k, "T": temperature})


def shares(
    similarity: Features, rows: NDArray[np.int64], targets: Targets, k: int, temperature: float, multi: bool
) -> Scores:
    """(Q, C) share of each class in the votes of the first k neighbours."""
    weights = np.ones(targets.shape[1]) if multi else class_weights(targets)
    votes = similarity[:, :k], rows[:, :k]
    totals = tally(*votes, targets * weights, temperature)
    votes_cast = (
        tally(*votes, np.ones((len(targets), 1)), temperature) if multi else totals.sum(1, keepdims=True)
    )
    return np.asarray(totals / np.maximum(votes_cast, 1e-300))


def nearest_predict(features: Features, split: Split) -> Labels:
    """Predict the test rows by the one training row of least Euclidean distance.

    Args:
        features: (N, D), one row a video.
        split: labels and rows.

    Returns:
        (n,) labels of the test rows.
    """
    return np.asarray(split.labels[split.train][nearest_rows(features, split)])


def nearest_rows(features: Features, split: Split) -> NDArray[np.int64]:
    """The nearest training row of each test row, by Euclidean distance.

    Args:
        features: (N, D), one row a video.
        split: labels and rows.

    Returns:
        (n,) positions within ``split.train``.
    """
    train, test = features[split.train], features[split.test]
    length = np.square(train).sum(1)
    blocks = np.array_split(test, -(-len(test) // BLOCK))
    return np.concatenate([(length - 2 * block @ train.T).argmin(1) for block in blocks])


PROBE = Probe(predict, "a vote of the k most similar training rows weighted by exp(cosine / T)", "k and T")
