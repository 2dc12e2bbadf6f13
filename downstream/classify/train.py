"""From labels to a classifier: features once, then a head, its strength and its temperature for each task."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.functional import normalize

from sora_video.configs.errors import ConfigError, LabelsError
from sora_video.pretrain.corpus import Corpus, Source, open_corpus
from sora_video.pretrain.embed import load_encoder
from sora_video.pretrain.embeddings import Embeddings, read_embeddings, rows_by_entry
from sora_video.pretrain.quarantine import Failure
from sora_video.pretrain.randomness import torch_seed

from .calibrate import fit_temperature, log_loss, score_logits
from .head import Head, HeadKind, PoolKind, Rows, fit
from .store import Classifier, TaskHead, check_free
from .tasks import Task, folds, read_tasks

__all__ = ["Recipe", "Training", "fit_tasks", "make_recipe", "slice_rows", "train_classifier"]

STRENGTHS = (0.01, 0.1, 1.0, 10.0)
"""Values of C tried."""
SLICES = 32
"""Most slices of a video that an attentive head is trained on, evenly spread."""


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How heads are trained."""

    head: HeadKind = "linear"
    pool: PoolKind = "mean"
    balanced: bool = True
    """Whether classes weigh alike, whatever their number of rows."""
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


class Training(NamedTuple):
    """What came of it."""

    classifier: Classifier
    failures: tuple[Failure, ...]
    """Videos that could not be read and took no part."""


def train_classifier(
    labels: Source,
    model: str | Path,
    out: str | Path,
    *,
    columns: Sequence[str] = ("label",),
    group: str = "group",
    split: str = "split",
    class_folders: bool = False,
    recipe: Recipe | None = None,
) -> Training:
    """Train a classifier on labelled videos and write it.

    Args:
        labels: a manifest with label columns.
        model: run folder of the encoder, or a ``.parquet`` file of embeddings that it made of these videos.
        out: the folder to write.
        columns: of labels; each gives a head, on the same features.
        group: column of what may not be in train and test.
        split: column that says train or test; where no row has one, all are trained on.
        class_folders: ``labels`` is a folder with one folder a class.
        recipe: how.

    Returns:
        The classifier, and videos that could not be read.

    Raises:
        CorpusError: nothing can be read.
        LabelsError: the labels cannot be used, see :func:`.tasks.read_tasks`, or ``out`` holds something.
        RunError: there is no finished run.
    """
    recipe = recipe or Recipe()
    out = Path(out).expanduser()
    check_free(out)
    corpus = open_corpus(labels, class_folders=class_folders)
    read_tasks(corpus, columns, group, split)  # refuses what it can before anything is embedded
    embeddings = embed(corpus, model)
    own = rows_by_entry(embeddings, corpus)
    failed = {failure.video_id: failure for failure in embeddings.failures}
    for video, rows in zip(corpus.videos, own, strict=True):
        if not len(rows):
            failed.setdefault(video.video_id, Failure(video.video_id, "has no slice"))
    tasks = read_tasks(corpus, columns, group, split, frozenset(failed))
    classifier = Classifier(
        tasks=tuple(fit_tasks(tasks, slice_rows(embeddings, own, recipe.pool), recipe)),
        kind=recipe.head,
        pool=recipe.pool,
        dim=embeddings.dim,
        fingerprint=embeddings.fingerprint,
        model=None if is_table(model) else str(Path(model).expanduser().absolute()),
        protocol=protocol(recipe, tasks, group, split),
    )
    classifier.save(out)
    return Training(classifier, tuple(failed.values()))


def is_table(model: str | Path) -> bool:
    """Whether embeddings are named instead of their encoder."""
    return Path(model).suffix.lower() == ".parquet"


def embed(corpus: Corpus, model: str | Path) -> Embeddings:
    """The slices of a corpus, computed once for all tasks, or read."""
    if is_table(model):
        return read_embeddings(Path(model).expanduser())
    absent = [video.path for video in corpus.videos if not video.path.is_file()]
    if absent:
        raise LabelsError(
            f"{len(absent)} labelled files do not exist, the first is {absent[0]}; mend the rows"
        )
    return load_encoder(model).embed(corpus)


def slice_rows(embeddings: Embeddings, own: Sequence[NDArray[np.int64]], pool: PoolKind) -> Rows:
    """The slices of each entry as a head takes them; a mean needs one vector a video.

    Args:
        embeddings: all slices.
        own: (N) rows of each entry; entries without any get zeros.
        pool: see :class:`.head.Head`.
    """
    if pool == "mean":
        means = np.zeros((len(own), 1, embeddings.dim))
        for entry, rows in enumerate(own):
            if len(rows):
                means[entry, 0] = embeddings.vectors[rows].mean(0)
        return Rows(normalize(torch.from_numpy(means), dim=2), torch.ones(len(own), 1, dtype=torch.bool))
    chosen = [rows[np.linspace(0, len(rows) - 1, min(len(rows), SLICES)).round().astype(int)] for rows in own]
    most = max(map(len, chosen))
    slices, there = np.zeros((len(own), most, embeddings.dim)), np.zeros((len(own), most), bool)
    for entry, rows in enumerate(chosen):
        slices[entry, : len(rows)] = embeddings.vectors[rows]
        there[entry, : max(1, len(rows))] = True
    return Rows(torch.from_numpy(slices), torch.from_numpy(there))


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
        fair[check] = np.isin(codes[check], codes[fitted])  # a class that was not there cannot be told
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
    counts = np.bincount(codes, minlength=classes)
    return len(codes) / (np.count_nonzero(counts) * np.maximum(counts, 1)) if balanced else np.ones(classes)


def new_head(task: Task, rows: Rows, fitted: NDArray[np.int64], recipe: Recipe) -> Head:
    """An untrained head, standardised for the rows to train on; the seed and the task decide its weights."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(torch_seed(recipe.seed, "head", task.name))
        head = Head(rows.slices.shape[-1], len(task.classes), recipe.head, recipe.pool).double()
    with torch.no_grad():
        features = head.features(rows[torch.from_numpy(fitted)])
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
    """Logits of ``check`` by heads trained on ``fitted``, each beginning where the one before ended."""
    head, found = new_head(task, rows, fitted, recipe), []
    for strength in strengths:
        fit_rows(head, task, rows, fitted, recipe, strength)
        with torch.no_grad():
            found.append((strength, head(rows[torch.from_numpy(check)]).numpy()))
    return found


def last(
    task: Task, rows: Rows, recipe: Recipe, strengths: Sequence[float]
) -> tuple[Head, NDArray[np.float64]]:
    """The head trained on all training rows, and its logits of the test rows."""
    head = new_head(task, rows, task.train, recipe)
    for strength in strengths:
        fit_rows(head, task, rows, task.train, recipe, strength)
    with torch.no_grad():
        return head, head(rows[torch.from_numpy(task.test)]).numpy()


def fit_rows(
    head: Head, task: Task, rows: Rows, fitted: NDArray[np.int64], recipe: Recipe, strength: float
) -> None:
    """Train a head on some rows."""
    codes = task.codes[fitted]
    weights = class_weights(codes, len(task.classes), recipe.balanced)[codes]
    fit(head, rows[torch.from_numpy(fitted)], torch.from_numpy(codes), torch.from_numpy(weights), strength)


def cross_fitted(
    logits: NDArray[np.float64], codes: NDArray[np.int64], places: Sequence[NDArray[np.int64]]
) -> dict[str, float]:
    """Scores of each fold's rows under the temperature that the other folds give."""
    scaled = logits.copy()
    for own in places:
        others = np.setdiff1d(np.concatenate(places), own)
        if len(own) and len(others):
            scaled[own] /= fit_temperature(logits[others], codes[others])
    kept = np.concatenate(places)
    return both(logits[kept], scaled[kept], codes[kept])


def both(raw: NDArray[np.float64], scaled: NDArray[np.float64], codes: NDArray[np.int64]) -> dict[str, float]:
    """Scores with temperature, and what log loss and calibration error were without."""
    before = score_logits(raw, codes)
    kept = {f"{name}_uncalibrated": before[name] for name in ("log_loss", "calibration_error")}
    return {**score_logits(scaled, codes), **kept}


def protocol(recipe: Recipe, tasks: Sequence[Task], group: str, split: str) -> dict[str, object]:
    """What is needed to repeat and to judge a training."""
    return {
        "rows": {task.name: {"train": len(task.train), "test": len(task.test)} for task in tasks},
        "columns": {"group": group, "split": split},
        "class_weights": "balanced" if recipe.balanced else "none",
        "seed": recipe.seed,
        "selection": f"C of {list(STRENGTHS)} by class-weighted log loss, temperature by log loss, both on "
        "training rows by heads that had not seen their group (5 folds)",
        "features": f"slices pooled by {recipe.pool}, L2-normalised, standardised",
    }
