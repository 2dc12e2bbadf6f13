"""Heads, with C and the temperature chosen on rows whose group was not trained on."""

from collections.abc import Sequence
from dataclasses import asdict

import numpy as np
import torch
from numpy.typing import NDArray

from sora_video.base.errors import LabelsError
from sora_video.base.randomness import torch_seed
from sora_video.configs.loader import check_settings, override
from sora_video.downstream.probe.weights import class_weights as balanced_weights

from .calibrate import Calibration, calibrate, fit_temperature, log_loss, score_logits
from .head import Head, fit
from .parts import Recipe
from .pool import Rows
from .store import TaskHead
from .tasks import Task, folds

__all__ = ["STRENGTHS", "fit_rows", "fit_tasks", "make_recipe", "new_head"]

STRENGTHS = (0.01, 0.1, 1.0, 10.0)
"""Values of C tried."""


def make_recipe(head: str, pool: str, weights: str, seed: int, overrides: Sequence[str] = ()) -> Recipe:
    """A recipe from words.

    Args:
        head: a name in :data:`.parts.HEADS`.
        pool: a name in :data:`.parts.POOLS`.
        weights: of classes: ``balanced`` or ``none``.
        seed: decides the folds and the first weights.
        overrides: ``"head.key=value"`` or ``"pool.key=value"`` settings of these parts.

    Returns:
        The recipe.

    Raises:
        ConfigError: there is no such part, a part has no such setting, or a value is out of range.
    """
    values = {"head": {"name": head}, "pool": {"name": pool}, "weights": weights, "seed": seed}
    keys = "settings of a head or pool are given as head.KEY=VALUE and pool.KEY=VALUE"
    return check_settings(Recipe, override(values, overrides), lists=keys)


def fit_tasks(tasks: Sequence[Task], rows: Rows, recipe: Recipe) -> list[TaskHead]:
    """Train a head for each task, independently of the others.

    Args:
        tasks: label columns.
        rows: slices of N videos, see :meth:`.pool.Pool.training_rows`.
        recipe: how.

    Returns:
        The trained heads, in the order of the tasks.

    Raises:
        LabelsError: the training rows of a task cannot be divided by their groups.
    """
    return [fit_task(task, rows, recipe) for task in tasks]


def fit_task(task: Task, rows: Rows, recipe: Recipe) -> TaskHead:
    """Choose C and the temperature on rows whose group was not trained on, then train on all rows."""
    codes = task.codes
    weights = class_weights(codes[task.train], len(task.classes), recipe)
    pairs = folds(task, recipe.seed)
    if not pairs:
        raise LabelsError(too_few_groups(task))
    unseen = {strength: np.zeros((len(codes), len(task.classes))) for strength in STRENGTHS}
    fitted_on = np.zeros(len(codes), bool)  # a class without rows to fit on cannot be predicted
    for fitted, check in pairs:
        fitted_on[check] = np.isin(codes[check], codes[fitted])
        for strength, logits in trained(task, rows, fitted, check, recipe, STRENGTHS):
            unseen[strength][check] = logits
    folds_rows = [check[fitted_on[check]] for _, check in pairs]
    checked = np.concatenate(folds_rows)
    if len(np.unique(codes[checked])) < 2:
        raise LabelsError(too_few_groups(task))
    temperatures = {
        strength: fit_temperature(logits[checked], codes[checked]) for strength, logits in unseen.items()
    }
    losses = {
        strength: log_loss(
            unseen[strength][checked] / temperatures[strength], codes[checked], weights[codes[checked]]
        )
        for strength in STRENGTHS
    }
    best = min(losses, key=losses.__getitem__)
    head, logits = train_on_all(task, rows, recipe, STRENGTHS[: STRENGTHS.index(best) + 1])
    calibration = calibrate(unseen[best], codes, folds_rows)
    scores = {"validation": validated(unseen[best][checked], codes[checked], calibration)}
    if len(task.test):
        scores["test"] = both(logits, logits / calibration.temperature, codes[task.test])
    return TaskHead(
        name=task.name,
        classes=task.classes,
        counts=tuple(np.bincount(codes[task.train]).tolist()),
        head=head.float().eval().requires_grad_(False),
        temperature=calibration.temperature,
        calibration=asdict(calibration),
        strength=best,
        scores=scores,
    )


def too_few_groups(task: Task) -> str:
    """Why no row can be held back to set confidences on."""
    groups = len(np.unique(task.groups[task.train]))
    return (
        f"{task.name}: the {len(task.train)} training rows are of {groups} groups, too few to hold some back "
        "and train on two classes; label clips of more recordings"
    )


def class_weights(codes: NDArray[np.int64], classes: int, recipe: Recipe) -> NDArray[np.float64]:
    """(K,) weight of a row of each class; they average to 1 over the rows."""
    return balanced_weights(np.eye(classes)[codes]) if recipe.weights == "balanced" else np.ones(classes)


def new_head(task: Task, rows: Rows, fitted: NDArray[np.int64], recipe: Recipe) -> Head:
    """An untrained head, standardised for the rows to train on; the seed and the task decide its weights.

    Args:
        task: its classes.
        rows: slices of N videos.
        fitted: (n,) the videos to train on.
        recipe: which head and pool.

    Returns:
        The head in double precision.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(torch_seed(recipe.seed, "head", task.name))
        head = Head(rows.slices.shape[-1], len(task.classes), recipe.head, recipe.pool).double()
    with torch.no_grad():
        head.standardise(head.pool(rows.select(fitted)))
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


def train_on_all(
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
    """Train a head on some rows.

    Args:
        head: the start; trained in place.
        task: its classes.
        rows: slices of N videos.
        fitted: (n,) the videos to train on.
        recipe: weights of the classes.
        strength: C.
    """
    codes = task.codes[fitted]
    weights = class_weights(codes, len(task.classes), recipe)[codes]
    fit(head, rows.select(fitted), torch.from_numpy(codes), torch.from_numpy(weights), strength)


def validated(
    raw: NDArray[np.float64], codes: NDArray[np.int64], calibration: Calibration
) -> dict[str, float]:
    """Scores of the rows that calibration was judged on, as they are with what was kept, and without."""
    scores = both(raw, raw, codes)
    if calibration.kept:
        scores |= {name: getattr(calibration, name) for name in ("log_loss", "calibration_error")}
    return scores


def both(raw: NDArray[np.float64], scaled: NDArray[np.float64], codes: NDArray[np.int64]) -> dict[str, float]:
    """Scores with temperature, and what log loss and calibration error were without."""
    before = score_logits(raw, codes)
    uncalibrated = {f"{name}_uncalibrated": before[name] for name in ("log_loss", "calibration_error")}
    return {**score_logits(scaled, codes), **uncalibrated}
