"""Which rows are trained on, which are tested, and what the numbers mean.

Nothing here sees test labels before the last step: every choice (regularisation, k) is made by group-safe
cross-validation within the training rows.
"""

import os
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import StratifiedGroupKFold

from sora_video.configs.errors import LabelsError
from sora_video.pretrain.corpus import Corpus
from sora_video.pretrain.randomness import generator

__all__ = ["Split", "balanced_accuracy", "folds", "hold_out", "read_split", "recall_at"]

Rows = NDArray[np.int64]
Labels = NDArray[np.str_]


@dataclass(frozen=True)
class Split:
    """A labelled corpus, divided once."""

    labels: Labels
    """(N,) class of each video."""
    groups: Labels
    """(N,) recording, scene or person; a video that names none is a group of its own."""
    train: Rows
    test: Rows
    source: str = "as labelled; no group and no file on both sides"
    """Where the division comes from."""

    @property
    def classes(self) -> list[str]:
        """The classes of the training rows, sorted."""
        return sorted(set(self.labels[self.train].tolist()))


def read_split(corpus: Corpus, *, label: str = "label", group: str = "group", split: str = "split") -> Split:
    """Take labels and the split from a manifest's columns.

    Rows without a label or without a split take no part. A group may not stand on both sides.

    Args:
        corpus: a manifest with the columns below.
        label: column of the class.
        group: column of the group; optional in the manifest.
        split: column that says ``train`` or ``test``.

    Returns:
        The rows on each side.

    Raises:
        LabelsError: a column or a side is missing, a group is on both sides, files are absent, there are
            fewer than two classes, or a test class has no training row.
    """
    columns = [video.columns for video in corpus.videos]
    for column, name in ((label, "label"), (split, "split")):
        if not any(column in row for row in columns):
            known = sorted({key for row in columns for key in row})
            raise LabelsError(f"{name} column {column!r} is in no row; the columns are {', '.join(known)}")
    if group != "group" and not any(group in row for row in columns):
        raise LabelsError(f"group column {group!r} is in no row; check the name")
    sides = [row.get(split, "") if label in row else "" for row in columns]
    train, test = (np.flatnonzero([side == name for side in sides]) for name in ("train", "test"))
    for rows, name in ((train, "train"), (test, "test")):
        if len(rows) == 0:
            raise LabelsError(f"no labelled row has {split}={name}; values are {sorted(set(sides))}")
    videos = corpus.videos
    absent = [videos[row].path for row in (*train, *test) if not videos[row].path.is_file()]
    if absent:
        raise LabelsError(
            f"{len(absent)} labelled files do not exist, the first is {absent[0]}; mend the manifest"
        )
    labels = np.array([row.get(label, "") for row in columns])
    groups = np.array(
        [row.get(group, video.video_id) for row, video in zip(columns, corpus.videos, strict=True)]
    )
    check_classes(labels[train], labels[test])
    check_leak("group", groups[train], groups[test])
    files = np.array([os.path.realpath(video.path) for video in videos])
    check_leak("video", files[train], files[test])
    return Split(labels, groups, train, test)


def hold_out(corpus: Corpus, fraction: float = 1 / 3, seed: int = 0) -> Corpus:
    """Divide a labelled corpus that names no split: the same fraction of each class is drawn for testing.

    Args:
        corpus: videos with a label each, every video a group of its own.
        fraction: share of each class that is tested, at least one video.
        seed: decides the draw.

    Returns:
        The corpus with a ``split`` column.
    """
    members: dict[str, list[int]] = {}
    for entry, video in enumerate(corpus.videos):
        members.setdefault(video.columns["label"], []).append(entry)
    test: set[int] = set()
    for name, entries in members.items():
        order = generator(seed, "hold out", name).permutation(len(entries))
        test.update(entries[place] for place in order[: max(1, round(fraction * len(entries)))])
    videos = (
        replace(video, columns={**video.columns, "split": "test" if entry in test else "train"})
        for entry, video in enumerate(corpus.videos)
    )
    return Corpus(corpus.root, tuple(videos))


def check_classes(train: Labels, test: Labels) -> None:
    """Refuse labels that no classifier can learn or be tested on."""
    if len(set(train.tolist())) < 2:
        raise LabelsError(f"only class {str(train[0])!r} has training rows; a probe needs 2 classes or more")
    unknown = sorted(set(test.tolist()) - set(train.tolist()))
    if unknown:
        raise LabelsError(f"class {unknown[0]!r} has test rows but no training row; mend the split")


def check_leak(what: str, train: Labels, test: Labels) -> None:
    """Refuse a split that shares anything between its sides."""
    shared = sorted(set(train.tolist()) & set(test.tolist()))
    if shared:
        raise LabelsError(
            f"{what} {shared[0]!r} is in train and in test ({len(shared)} such); keep each on one side"
        )


def folds(split: Split, count: int = 5) -> list[tuple[Rows, Rows]]:
    """Group-safe cross-validation within the training rows.

    Args:
        split: labels, groups and training rows.
        count: folds wanted; fewer where there are fewer groups.

    Returns:
        (fit, validate) positions within ``split.train``; empty where the rows are one group or a fold could
        not hold two classes, so that defaults have to do.
    """
    labels, groups = split.labels[split.train], split.groups[split.train]
    _, codes, sizes = np.unique(labels, return_inverse=True, return_counts=True)
    count = min(count, len(set(groups.tolist())), int(sizes.max()))
    if count < 2:
        return []
    splitter = StratifiedGroupKFold(count, shuffle=True, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # a class with fewer rows than folds misses some folds
        pairs = list(splitter.split(np.zeros(len(labels)), codes, groups))
    return [(fit, check) for fit, check in pairs if len(set(labels[fit].tolist())) > 1 and len(check)]


def balanced_accuracy(truth: Labels, predicted: Labels) -> float:
    """Mean recall over the classes of ``truth``, in [0, 1]."""
    wrong_class = ~np.isin(predicted, truth)
    known = np.where(wrong_class, "", predicted)  # a class without test rows is just a wrong answer
    recalls = [np.mean(known[truth == name] == name) for name in np.unique(truth)]
    return float(np.mean(recalls))


def recall_at(
    gallery: NDArray[np.float32],
    gallery_labels: Labels,
    queries: NDArray[np.float32],
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
        ``{"R@1": ..., ...}`` in [0, 1].
    """
    order = np.argsort(-(queries @ gallery.T), axis=1, kind="stable")
    hits = gallery_labels[order] == query_labels[:, None]
    return {f"R@{k}": float(hits[:, :k].any(axis=1).mean()) for k in ranks}
