"""Light classifiers on frozen features; every choice is made by cross-validation within the training rows."""

import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from sora_video.pretrain.encoders.neighbours import TEMPERATURE, nearest, tally

from .metrics import classification_metrics
from .split import Labels, Split
from .weights import class_weights

__all__ = [
    "Prediction",
    "fit_linear",
    "knn_predict",
    "knn_probe",
    "linear_predict",
    "linear_probe_scores",
    "nearest_predict",
    "nearest_rows",
    "quality",
]

Features = NDArray[np.float32]
Scores = NDArray[np.float64]
Targets = NDArray[np.bool_]
STRENGTHS = (0.001, 0.01, 0.1, 1.0, 10.0)
"""Values of C tried for the linear probe, from much regularisation to little."""
DEFAULT_STRENGTH = 1.0
NEIGHBOURS = (1, 3, 5, 10, 20)
"""Values of k tried for kNN."""
DEFAULT_NEIGHBOURS = 5
TEMPERATURES = (TEMPERATURE, 0.02, 0.2)
"""Temperatures tried for kNN."""
BLOCK = 1024
"""Rows compared at once, to bound memory."""
SWEEP_TOLERANCE = 1e-3
"""Of the gradient while C is chosen; scikit-learn's default when the probe is fitted."""


@dataclass(frozen=True)
class Prediction:
    """Scores of the test rows by a classifier."""

    scores: Scores
    """(n, C) for the training classes, in [0, 1]."""
    choice: Mapping[str, float]
    """What cross-validation chose, or the defaults where there are no folds."""

    def labels(self, split: Split) -> Labels:
        """(n,) the classes of greatest score."""
        return np.asarray(np.array(split.classes)[self.scores.argmax(1)])


def linear_predict(features: Features, split: Split) -> Labels:
    """The classes of the test rows by :func:`linear_probe_scores`."""
    return linear_probe_scores(features, split).labels(split)


def knn_predict(features: Features, split: Split) -> Labels:
    """The classes of the test rows by :func:`knn_probe`."""
    return knn_probe(features, split).labels(split)


def nearest_predict(features: Features, split: Split) -> Labels:
    """Predict the test rows by the one training row of least Euclidean distance."""
    return np.asarray(split.labels[split.train][nearest_rows(features, split)])


def nearest_rows(features: Features, split: Split) -> NDArray[np.int64]:
    """(n,) position within ``split.train`` of the nearest row to each test row, by Euclidean distance."""
    train, test = features[split.train], features[split.test]
    length = np.square(train).sum(1)
    blocks = np.array_split(test, -(-len(test) // BLOCK))
    return np.concatenate([(length - 2 * block @ train.T).argmin(1) for block in blocks])


def quality(targets: Targets, scores: Scores, multi: bool) -> float:
    """The metric that choices are made by: balanced accuracy, or mAP where a row may have several classes."""
    metric = next(iter(classification_metrics(targets, scores, multi).values()))
    return float(metric(np.ones((1, len(targets))))[0])


def linear_probe_scores(features: Features, split: Split) -> Prediction:
    """Multinomial logistic regression on standardised features, fitted by L-BFGS.

    Classes count alike; C is chosen by :func:`quality` over group-safe folds of the training rows, each fit
    starting from that of the next smaller C. Where rows may have several classes there is one
    regression a class, all with the same C.

    Args:
        features: (N, D), one row a video.
        split: labels and rows.
    """
    train, targets = features[split.train], split.targets[split.train]
    sums = np.zeros(len(STRENGTHS))
    for rows, check in split.pairs:
        for number, scores in enumerate(sweep(train[rows], targets[rows], train[check], split.multi)):
            sums[number] += quality(targets[check], scores, split.multi)
    strength = STRENGTHS[int(sums.argmax())] if split.pairs else DEFAULT_STRENGTH
    return Prediction(
        fit_linear(train, targets, features[split.test], strength, split.multi), {"C": strength}
    )


def fit_linear(train: Features, targets: Targets, test: Features, strength: float, multi: bool) -> Scores:
    """(n, C) scores of test rows by a fit with C = ``strength`` from scratch."""
    scaler = StandardScaler().fit(train)
    rows, checked = scaler.transform(train), scaler.transform(test)
    return next(iter(fit_each(rows, targets, checked, (strength,), 1e-4, multi)))


def sweep(train: Features, targets: Targets, check: Features, multi: bool) -> Iterable[Scores]:
    """Scores of the rows to check with each of :data:`STRENGTHS`."""
    scaler = StandardScaler().fit(train)
    return fit_each(
        scaler.transform(train), targets, scaler.transform(check), STRENGTHS, SWEEP_TOLERANCE, multi
    )


def fit_each(
    train: Features,
    targets: Targets,
    test: Features,
    strengths: Iterable[float],
    tolerance: float,
    multi: bool,
) -> Iterable[Scores]:
    """Scores by fits with each strength, each starting from the one before."""
    columns = range(targets.shape[1]) if multi else [0]
    models = [
        LogisticRegression(class_weight="balanced", max_iter=300, tol=tolerance, warm_start=True)
        for _ in columns
    ]
    for strength in strengths:
        scores = np.zeros((len(test), targets.shape[1]))
        for column, model in zip(columns, models, strict=True):
            classes = targets[:, column].astype(np.int64) if multi else targets.argmax(1)
            if len(set(classes.tolist())) < 2:  # of one class a row there are always two
                scores[:, column] = classes[0]
                continue
            model.set_params(C=strength)
            with warnings.catch_warnings():
                warnings.simplefilter(
                    "ignore", ConvergenceWarning
                )  # with little regularisation it may not converge
                model.fit(train, classes)
            chances = model.predict_proba(test)
            if multi:
                scores[:, column] = chances[:, 1]
            else:
                scores[:, model.classes_] = chances
        yield scores


def knn_probe(features: Features, split: Split) -> Prediction:
    """A weighted vote of the k most similar training rows.

    A vote has the weight exp(cosine / T); where a row has one class, divided by the class's number of
    training rows. k and T are chosen as C is in :func:`linear_probe_scores`.

    Args:
        features: (N, D), one row a video, L2-normalised.
        split: labels and rows.
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
    cast = tally(*votes, np.ones((len(targets), 1)), temperature) if multi else totals.sum(1, keepdims=True)
    return np.asarray(totals / np.maximum(cast, 1e-300))
