"""From labels to a classifier: features once, then a head, its strength and its temperature for each task."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sora_video.base.errors import LabelsError
from sora_video.downstream.probe.labels import column_of, members_by_class, plain_sides
from sora_video.pretrain.encoders.embeddings import Embeddings, is_parts, read_embeddings
from sora_video.pretrain.encoders.entries import rows_by_entry
from sora_video.pretrain.encoders.load import load_encoder
from sora_video.pretrain.encoders.rows import without_zeros
from sora_video.pretrain.encoders.spec import absolute_spec
from sora_video.pretrain.video.corpus import Corpus, Source, open_corpus
from sora_video.pretrain.video.quarantine import Failure
from sora_video.pretrain.video.spelling import one_spelling

from .fit import STRENGTHS, fit_tasks
from .parts import POOLS, Recipe
from .store import Classifier, check_free
from .tasks import Task, read_tasks

__all__ = ["Training", "train_classifier"]


class Training(NamedTuple):
    """A classifier, and what could not be used."""

    classifier: Classifier
    failures: tuple[Failure, ...]
    """Videos that could not be read and were ignored."""
    files: int
    """Labelled files, with those that could not be read."""


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
    by: str | None = None,
    join_labels: bool = False,
) -> Training:
    """Train a classifier on labelled videos and write it.

    Args:
        labels: a manifest with label columns.
        model: run folder of the encoder, or embeddings that it made of these videos,
            a ``.parquet`` file or a folder of them.
        out: the folder to write.
        columns: of labels; each gives a head, on the same features.
        group: column of what may not be in train and test.
        split: column that says train or test; where no row has one, all are trained on.
        class_folders: ``labels`` is a folder with one folder a class.
        recipe: how.
        by: aspect to embed slices by alone, see :class:`sora_video.pretrain.encoders.frozen.VideoEncoder`;
            None: all.
        join_labels: join labels that differ only in white space, case or Unicode form; False: refuse them.

    Returns:
        The classifier, and videos that could not be read.

    Raises:
        ConfigError: the encoder, or the table of embeddings, does not have the aspect.
        CorpusError: nothing can be read.
        LabelsError: the labels cannot be used, see :func:`.tasks.read_tasks`, or ``out`` holds something.
        RunError: there is no finished run.
    """
    recipe = recipe or Recipe()
    out = Path(out).expanduser()
    check_free(out)
    corpus = open_corpus(labels, class_folders=class_folders, need_files=not is_table(model))
    *columns, group, split = (column_of(corpus, name) for name in (*columns, group, split))
    corpus = plain_sides(one_spelling(corpus, columns, join=join_labels), split)
    if class_folders:
        members_by_class(corpus)
    corpus = needed(corpus, read_tasks(corpus, columns, group, split))
    embeddings = embed(corpus, model, by)
    rows_by_video = rows_by_entry(embeddings, corpus)
    unreadable = np.array([len(rows) == 0 for rows in rows_by_video])
    tasks = read_tasks(corpus, columns, group, split, unreadable)
    slices = POOLS.load(recipe.pool.name).training_rows(embeddings, rows_by_video)
    classifier = Classifier(
        tasks=tuple(fit_tasks(tasks, slices, recipe)),
        head=recipe.head,
        pool=recipe.pool,
        dim=embeddings.dim,
        fingerprint=embeddings.fingerprint,
        model=None if is_table(model) else absolute_spec(model),
        by=by,
        protocol=protocol(recipe, tasks, group, split),
    )
    classifier.save(out)
    return Training(classifier, failures_in(embeddings, corpus, unreadable), corpus.files)


def needed(corpus: Corpus, tasks: Sequence[Task]) -> Corpus:
    """The rows of some task, so that no others are embedded."""
    rows = sorted({int(row) for task in tasks for row in (*task.train, *task.test)})
    return Corpus(corpus.root, tuple(corpus.videos[row] for row in rows))


def is_table(model: str | Path) -> bool:
    """Whether embeddings are named instead of their encoder."""
    return Path(model).suffix.lower() == ".parquet" or is_parts(Path(model).expanduser())


def embed(corpus: Corpus, model: str | Path, by: str | None) -> Embeddings:
    """The slices of a corpus, computed once for all tasks, or read."""
    if is_table(model):
        embeddings = read_embeddings(Path(model).expanduser())
        return without_zeros(embeddings if by is None else embeddings.alone(by))
    absent = [video.path for video in corpus.videos if not video.path.is_file()]
    if absent:
        raise LabelsError(
            f"{len(absent)} labelled files do not exist, the first is {absent[0]}; fix the manifest"
        )
    return load_encoder(model, by=by).embed(corpus)


def failures_in(embeddings: Embeddings, corpus: Corpus, unreadable: NDArray[np.bool_]) -> tuple[Failure, ...]:
    """Why videos could not be read; those of which a table of embeddings has no slice are among them."""
    failures = {failure.video_id: failure for failure in embeddings.failures}
    for row in np.flatnonzero(unreadable):
        video_id = corpus.videos[row].video_id
        failures.setdefault(video_id, Failure(video_id, "has no slice"))
    return tuple(failures.values())


def protocol(recipe: Recipe, tasks: Sequence[Task], group: str, split: str) -> dict[str, object]:
    """What is needed to repeat and to judge a training."""
    return {
        "rows": {task.name: {"train": len(task.train), "test": len(task.test)} for task in tasks},
        "columns": {"group": group, "split": split},
        "class_weights": recipe.weights,
        "seed": recipe.seed,
        "selection": f"C of {list(STRENGTHS)} by class-weighted log loss, temperature by log loss, both on "
        "training rows by heads that had not seen their group (5 folds); the temperature is kept where it "
        "lowers the log loss of folds that it was not fitted to",
        "features": f"slices pooled by {recipe.pool.name}, L2-normalised, standardised",
    }
