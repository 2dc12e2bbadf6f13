"""Heads, with C and the temperature chosen on rows whose group was not trained on."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import get_args

import numpy as np
import torch
from numpy.typing import NDArray

from sora_video.base.errors import ConfigError, LabelsError
from sora_video.base.randomness import torch_seed
from sora_video.downstream.probe.weights import class_weights as balanced_weights

from .calibrate import fit_temperature, log_loss, score_logits
from .head import Head, HeadKind, PoolKind, Rows, fit
from .store import TaskHead
from .tasks import Task, folds

__all__ = ["STRENGTHS", "Recipe", "fit_rows", "fit_tasks", "make_recipe", "new_head"]

STRENGTHS = (0.01, 0.1, 1.0, 10.0)
"""Values of C tried."""


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How heads are trained."""

    head: HeadKind = "linear"
    pool: PoolKind = "mean"
    balanced: bool = True
    """Whether classes count alike, whatever their number of rows."""
    seed: int = 0


def make_recipe(head: str, pool: str, weights: str, seed: int) -> Recipe:
    """A recipe from words.

    Raises:
        ConfigError: one of them is not known.
    """
    choices = {"head": (head, get_args(HeadKind)), "pool": (pool, get_args(PoolKind))}
    for name, (word, known) in {**choices, "weights": (weights, ("balanced", "none"))}.items():
        if word not in known:
            raise ConfigError(f"--{name} {word}: is not known; choose {' or '.join(known)}")
    return Recipe(head=head, pool=pool, balanced=weights == "balanced", seed=seed)  # type: ignore[arg-type]


def fit_tasks(tasks: Sequence[Task], rows: Rows, recipe: Recipe) -> list[TaskHead]:
    """A head a task, each trained on its own."""
    return [fit_task(task, rows, recipe) for task in tasks]


def fit_task(task: Task, rows: Rows, recipe: Recipe) -> TaskHead:
    """Choose C and the temperature on rows whose group was not trained on, then train on all rows."""
    codes = task.codes
    weights = class_weights(codes[task.train], len(task.classes), recipe.balanced)
    pairs = folds(task, recipe.seed)
    unseen = {strength: np.zeros((len(codes), len(task.classes))) for strength in STRENGTHS}
    fair = np.zeros(len(codes), bool)
    for fitted, check in pairs:
        fair[check] = np.isin(
            codes[check], codes[fitted]
        )  # a class without rows to fit on cannot be predicted
        for strength, logits in trained(task, rows, fitted, check, recipe, STRENGTHS):
            unseen[strength][check] = logits
    places = [check[fair[check]] for _, check in pairs]
    kept = np.concatenate(places)
    if len(np.unique(codes[kept])) < 2:
        raise LabelsError(
            f"{task.name}: too few groups to set confidences on; label clips of more recordings"
        )
    warmth = {strength: fit_temperature(logits[kept], codes[kept]) for strength, logits in unseen.items()}
    losses = {
        strength: log_loss(unseen[strength][kept] / warmth[strength], codes[kept], weights[codes[kept]])
        for strength in STRENGTHS
    }
    best = min(losses, key=losses.__getitem__)
    head, logits = last(task, rows, recipe, STRENGTHS[: STRENGTHS.index(best) + 1])
    scores = {"validation": cross_fitted(unseen[best], codes, places)}
    if len(task.test):
        scores["test"] = both(logits, logits / warmth[best], codes[task.test])
    return TaskHead(
        name=task.name,
        classes=task.classes,
        counts=tuple(np.bincount(codes[task.train]).tolist()),
        head=head.float().eval().requires_grad_(False),
        temperature=warmth[best],
        strength=best,
        scores=scores,
    )


def class_weights(codes: NDArray[np.int64], classes: int, balanced: bool) -> NDArray[np.float64]:
    """(K,) weight of a row of each class; they average to 1 over the rows."""
    return balanced_weights(np.eye(classes)[codes]) if balanced else np.ones(classes)


def new_head(task: Task, rows: Rows, fitted: NDArray[np.int64], recipe: Recipe) -> Head:
    """An untrained head, standardised for the rows to train on; the seed and the task decide its weights."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(torch_seed(recipe.seed, "head", task.name))
        head = Head(rows.slices.shape[-1], len(task.classes), recipe.head, recipe.pool).double()
    with torch.no_grad():
        features = head.features(rows.select(fitted))
        head.mean.copy_(features.mean(0))
        deviation = features.std(0, correction=0)
        head.scale.copy_(torch.where(deviation > 1e-9, deviation, 1.0))
    return head


def trained(
    task: Task,
    rows: Rows,
    fitted: NDArray[np.int64],
    check: NDArray[np.int64],
    recipe: Recipe,
    strengths: Sequence[float],
) -> list[tuple[float, NDArray[np.float64]]]:
    """Logits of ``check`` by heads trained on ``fitted``, each starting from the one before."""
    head, logits = new_head(task, rows, fitted, recipe), []
    for strength in strengths:
        fit_rows(head, task, rows, fitted, recipe, strength)
        with torch.no_grad():
            logits.append((strength, head(rows.select(check)).numpy()))
    return logits


def last(
    task: Task, rows: Rows, recipe: Recipe, strengths: Sequence[float]
) -> tuple[Head, NDArray[np.float64]]:
    """The head trained on all training rows, and its logits of the test rows."""
    head = new_head(task, rows, task.train, recipe)
    for strength in strengths:
        fit_rows(head, task, rows, task.train, recipe, strength)
    with torch.no_grad():
        return head, head(rows.select(task.test)).numpy()


def fit_rows(
    head: Head, task: Task, rows: Rows, fitted: NDArray[np.int64], recipe: Recipe, strength: float
) -> None:
    """Train a head on some rows."""
    codes = task.codes[fitted]
    weights = class_weights(codes, len(task.classes), recipe.balanced)[codes]
    fit(head, rows.select(fitted), torch.from_numpy(codes), torch.from_numpy(weights), strength)


def cross_fitted(
    logits: NDArray[np.float64], codes: NDArray[np.int64], places: Sequence[NDArray[np.int64]]
) -> dict[str, float]:
    """Scores of each fold's rows under the temperature that the other folds give."""
    scaled = logits.copy()
    for fold in places:
        others = np.setdiff1d(np.concatenate(places), fold)
        if len(fold) and len(others):
            scaled[fold] /= fit_temperature(logits[others], codes[others])
    kept = np.concatenate(places)
    return both(logits[kept], scaled[kept], codes[kept])


def both(raw: NDArray[np.float64], scaled: NDArray[np.float64], codes: NDArray[np.int64]) -> dict[str, float]:
    """Scores with temperature, and what log loss and calibration error were without."""
    before = score_logits(raw, codes)
    kept = {f"{name}_uncalibrated": before[name] for name in ("log_loss", "calibration_error")}
    return {**score_logits(scaled, codes), **kept}
