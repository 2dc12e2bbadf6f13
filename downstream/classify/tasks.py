"""Label columns of a manifest as tasks; labels that no classifier can be trained on are refused."""

import os
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sora_video.base.errors import LabelsError
from sora_video.downstream.probe.folds import group_folds
from sora_video.pretrain.video.corpus import Corpus, Video

__all__ = ["Task", "folds", "read_tasks"]

Rows = NDArray[np.int64]


@dataclass(frozen=True)
class Task:
    """One label column."""

    name: str
    classes: tuple[str, ...]
    """Those of the training rows, sorted."""
    codes: NDArray[np.int64]
    """(N,) class of each row of the manifest, -1 where it has none."""
    groups: NDArray[np.int64]
    """(N,) recording, scene or person of each row; a file without one is a group of its own."""
    train: Rows
    test: Rows
    """Held out; empty where the manifest has no split."""


def read_tasks(
    corpus: Corpus,
    columns: Sequence[str] = ("label",),
    group: str = "group",
    split: str = "split",
    unreadable: NDArray[np.bool_] | None = None,
) -> list[Task]:
    """The tasks of a manifest.

    Rows with ``split`` train are trained on, those with test are held out, others are ignored; where no row
    has a split, all are trained on. A row without a label in some column is ignored in that task.

    Args:
        corpus: a manifest.
        columns: of labels, one a task.
        group: column of what may not be in train and test.
        split: column that says train or test.
        unreadable: (N,) rows of the manifest to leave out; None: none.

    Returns:
        A task for each column, in their order.

    Raises:
        LabelsError: a column is missing, a task has fewer than two classes or a class of a single group, a
            test class has no training row, a group or file is in train and in test, or a video has two
            classes, or no training row of a class can be read.
    """
    videos = corpus.videos
    known = sorted({key for video in videos for key in video.columns})
    for column in (*columns, *(name for name in (group, split) if name not in ("group", "split"))):
        if column not in known:
            raise LabelsError(f"column {column!r} is in no row; the columns are {', '.join(known) or 'none'}")
    sides = np.array([video.columns.get(split, "") if split in known else "train" for video in videos])
    if unreadable is not None:
        for column in columns:
            check_readable(videos, column, np.flatnonzero(sides == "train"), unreadable)
        sides[unreadable] = ""
    names = [video.columns.get(group) or os.path.realpath(video.path) for video in videos]
    groups = np.unique(names, return_inverse=True)[1].astype(np.int64)
    return [read_task(videos, column, sides, groups) for column in columns]


def check_readable(videos: Sequence[Video], column: str, train: Rows, unreadable: NDArray[np.bool_]) -> None:
    """Refuse a class of which no training row can be read, so that no class is dropped in silence."""
    members: dict[str, list[int]] = {}
    for row in train:
        members.setdefault(videos[row].columns.get(column, ""), []).append(row)
    for name, rows in sorted(members.items()):
        if name and unreadable[rows].all():
            raise LabelsError(
                f"{column}: class {name!r} has {len(rows)} training rows but none can be read, the first is "
                f"{videos[rows[0]].video_id}; fix these files, or remove the class from the labels"
            )


def read_task(
    videos: Sequence[Video], column: str, sides: NDArray[np.str_], groups: NDArray[np.int64]
) -> Task:
    """One column's task."""
    labels = np.array([video.columns.get(column, "") for video in videos])
    train, test = (np.flatnonzero((sides == side) & (labels != "")) for side in ("train", "test"))
    classes = np.unique(labels[train])
    if len(classes) < 2:
        known = f"only class {str(classes[0])!r}" if len(classes) else "no class"
        raise LabelsError(f"{column}: {known} has training rows; a classifier needs 2 classes or more")
    for name in classes:
        if len(np.unique(groups[train][labels[train] == name])) < 2:
            raise LabelsError(
                f"{column}: class {str(name)!r} has training rows of a single group; add clips of "
                "another group, as confidences are set on groups that were not trained on"
            )
    unknown = sorted(set(labels[test].tolist()) - set(classes.tolist()))
    if unknown:
        raise LabelsError(
            f"{column}: class {unknown[0]!r} has test rows but no training row; "
            "add training rows, or remove the class"
        )
    check_contradictions(videos, column, labels, np.concatenate([train, test]))
    shared = np.intersect1d(groups[train], groups[test])
    if len(shared):
        trained, tested = (videos[rows[groups[rows] == shared[0]][0]].video_id for rows in (train, test))
        raise LabelsError(
            f"{len(shared)} groups are in train and in test, as with {trained} and {tested}; "
            "keep each on one side"
        )
    codes = np.where(np.isin(labels, classes), np.searchsorted(classes, labels), -1)
    return Task(column, tuple(classes.tolist()), codes.astype(np.int64), groups, train, test)


def check_contradictions(videos: Sequence[Video], column: str, labels: NDArray[np.str_], rows: Rows) -> None:
    """Refuse a video, or a span of one, with two classes; the same class twice is one more row."""
    seen: dict[tuple[str, float, float | None], str] = {}
    for row in rows:
        video = videos[row]
        key = (os.path.realpath(video.path), video.start_s, video.end_s)
        before = seen.setdefault(key, str(labels[row]))
        if before != labels[row]:
            raise LabelsError(
                f"{column}: {video.video_id} is {before!r} in one row and {str(labels[row])!r} in another; "
                "keep one"
            )


def folds(task: Task, seed: int = 0) -> list[tuple[Rows, Rows]]:
    """Divide the training rows so that no group is on both sides.

    Args:
        task: labels and groups.
        seed: decides the division.

    Returns:
        (fit, check) rows of the manifest, at most five pairs; see
        :func:`sora_video.downstream.probe.folds.group_folds`.
    """
    rows = task.train
    pairs = group_folds(task.codes[rows], task.groups[rows], seed=seed, most=len(rows))
    return [(rows[fit], rows[check]) for fit, check in pairs]
