"""The linear probe: multinomial logistic regression, with C chosen by cross-validation."""

import warnings
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from .features import Frozen
from .metrics import quality
from .probes import Prediction, Probe
from .split import Split

__all__ = ["DEFAULT_STRENGTH", "PROBE", "STRENGTHS", "fit_linear", "linear_probe_scores"]

Features = NDArray[np.float32]
Scores = NDArray[np.float64]
Targets = NDArray[np.bool_]
STRENGTHS = (0.001, 0.01, 0.1, 1.0, 10.0)
"""Values of C tried, from much regularisation to little."""
DEFAULT_STRENGTH = 1.0
SWEEP_TOLERANCE = 1e-3
"""Of the gradient while C is chosen; scikit-learn's default when the probe is fitted."""


def predict(frozen: Frozen, split: Split) -> list[Prediction]:
    """The probe on the mean of each video's views."""
    return [linear_probe_scores(frozen.pooled, split)]


def linear_probe_scores(features: Features, split: Split) -> Prediction:
    """Multinomial logistic regression on standardised features, fitted by L-BFGS.

    Classes count alike. C is chosen by :func:`.metrics.quality` over group-safe folds of the training rows,
    each fit starting from that of the next smaller C. Where rows may have several classes there is one
    regression a class, all with the same C.

    Args:
        features: (N, D), one row a video.
        split: labels and rows.

    Returns:
        Probabilities of the test rows' classes, and C.
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
    """Fit with one C from scratch.

    Args:
        train: (m, D) features.
        targets: (m, C) the classes of each.
        test: (n, D) features.
        strength: C, the inverse of the regularisation.
        multi: whether a row may have several classes.

    Returns:
        (n, C) probabilities of the test rows' classes.
    """
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
                # with little regularisation it may not converge
                warnings.simplefilter("ignore", ConvergenceWarning)
                model.fit(train, classes)
            probabilities = model.predict_proba(test)
            if multi:
                scores[:, column] = probabilities[:, 1]
            else:
                scores[:, model.classes_] = probabilities
        yield scores


PROBE = Probe(predict, "L-BFGS logistic regression on standardised features; classes count alike", "C")
