"""Light classifiers on frozen features; every choice is made by cross-validation within the training rows."""

import warnings
from collections.abc import Callable
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from sora_video.pretrain.neighbours import vote

from .protocols import Labels, Split, balanced_accuracy, folds

__all__ = ["knn_predict", "linear_predict", "nearest_predict"]

Features = NDArray[np.float32]
STRENGTHS = (0.001, 0.01, 0.1, 1.0, 10.0)
"""Values of C tried for the linear probe."""
NEIGHBOURS = (1, 3, 5, 10, 20)
"""Values of k tried for kNN."""


def linear_predict(features: Features, split: Split) -> Labels:
    """Predict the test rows by multinomial logistic regression on standardised features.

    Classes weigh alike; C is chosen by balanced accuracy over group-safe folds of the training rows.

    Args:
        features: (N, D), one row a video.
        split: labels and rows.

    Returns:
        Classes of ``split.test``.
    """
    return choose_and_predict(fit_linear, STRENGTHS, 1.0, features, split)


def knn_predict(features: Features, split: Split) -> Labels:
    """Predict the test rows by a weighted vote of the k most similar training rows.

    Votes weigh exp(cosine / 0.07), divided by the class's number of training rows; k is chosen as C is in
    :func:`linear_predict`.

    Args:
        features: (N, D), one row a video, L2-normalised.
        split: labels and rows.

    Returns:
        Classes of ``split.test``.
    """
    return choose_and_predict(fit_knn, NEIGHBOURS, 5, features, split)


def nearest_predict(features: Features, split: Split) -> Labels:
    """Predict the test rows by the one training row of least Euclidean distance."""
    train, test = features[split.train], features[split.test]
    distances = np.square(train).sum(1) - 2 * test @ train.T
    return np.asarray(split.labels[split.train][distances.argmin(1)])


Predictor = Callable[[Features], Labels]
Choice = TypeVar("Choice", int, float)


def choose_and_predict(
    fit: Callable[[Features, Labels, Choice], Predictor],
    choices: tuple[Choice, ...],
    default: Choice,
    features: Features,
    split: Split,
) -> Labels:
    """Cross-validate ``choices`` within the training rows, then fit the best on all of them."""
    train, labels = features[split.train], split.labels[split.train]
    pairs = folds(split)

    def score(choice: Choice) -> float:
        return float(
            np.mean(
                [
                    balanced_accuracy(labels[check], fit(train[rows], labels[rows], choice)(train[check]))
                    for rows, check in pairs
                ]
            )
        )

    best = max(choices, key=score) if pairs else default
    return fit(train, labels, best)(features[split.test])


def fit_linear(features: Features, labels: Labels, strength: float) -> Predictor:
    """Logistic regression with C = ``strength``."""
    model: Pipeline = make_pipeline(
        StandardScaler(), LogisticRegression(C=strength, class_weight="balanced", max_iter=300)
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # a weakly regularised fit may go on for ever
        model.fit(features, labels)
    return lambda rows: np.asarray(model.predict(rows))


def fit_knn(features: Features, labels: Labels, neighbours: int) -> Predictor:
    """Weighted vote of the ``neighbours`` most similar rows."""
    classes, codes, counts = np.unique(labels, return_inverse=True, return_counts=True)
    ballots = np.eye(len(classes))[codes] / counts[codes, None]
    return lambda rows: np.asarray(classes[vote(rows @ features.T, ballots, neighbours)])
