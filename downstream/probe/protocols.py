"""Which rows are trained on and which are tested; the rules for labels.

Rows without a label or without a split take no part. The same span of the same file, under whatever name,
counts once, has one label, and is on one side; a group is on one side. Every test class has training rows; a
class without test rows is not measured. A label such as ``run;jump`` names several classes and makes the set
multi-label.

Nothing here sees test labels before the last step: every choice (regularisation, k) is made by group-safe
cross-validation within the training rows.
"""

import os
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

from sora_video.base.errors import LabelsError
from sora_video.base.randomness import generator
from sora_video.pretrain.video.corpus import Corpus, Video

__all__ = ["Split", "balanced_accuracy", "check_contents", "folds", "hold_out", "read_split"]

Rows = NDArray[np.int64]
Labels = NDArray[np.str_]
SEPARATOR = ";"
"""Between the classes of one row."""
MANY = 5000
"""Training rows from which on a single fold of them validates."""
NAMED = 3
"""Pairs that a refusal names."""


@dataclass(frozen=True)
class Split:
    """A labelled corpus, divided once."""

    labels: Labels
    """(N,) class of each video, or several with ``;`` between them."""
    groups: Labels
    """(N,) recording, scene or person; a video that names none is a group of its own."""
    train: Rows
    test: Rows
    source: str = "as labelled; no group and no file on both sides"
    """Where the division comes from."""

    @cached_property
    def multi(self) -> bool:
        """Whether any row may have several classes."""
        return any(SEPARATOR in label for label in self.labels[np.r_[self.train, self.test]].tolist())

    @cached_property
    def classes(self) -> list[str]:
        """The classes of the training rows, sorted."""
        return sorted({name for label in set(self.labels[self.train].tolist()) for name in self.names(label)})

    def names(self, label: str) -> list[str]:
        """The classes that a row's label names."""
        return split_label(label) if self.multi else [label]

    @cached_property
    def targets(self) -> NDArray[np.bool_]:
        """(N, C) which of ``classes`` each row has."""
        place = {name: column for column, name in enumerate(self.classes)}
        targets = np.zeros((len(self.labels), len(place)), np.bool_)
        for row, label in enumerate(self.labels.tolist()):
            for name in self.names(label):
                if name in place:
                    targets[row, place[name]] = True
        return targets

    @cached_property
    def pairs(self) -> list[tuple[Rows, Rows]]:
        """See :func:`folds`."""
        return folds(self)


def split_label(label: str) -> list[str]:
    """The classes of a label with separators."""
    return [part.strip() for part in label.split(SEPARATOR) if part.strip()]


def read_split(corpus: Corpus, *, label: str = "label", group: str = "group", split: str = "split") -> Split:
    """Take labels and the split from a manifest's columns.

    The rules are those of the module.

    Args:
        corpus: a manifest with the columns below.
        label: column of the class.
        group: column of the group; optional in the manifest.
        split: column that says ``train`` or ``test``.

    Returns:
        The rows on each side.

    Raises:
        LabelsError: a column or a side is missing, a group or file is on both sides, files are absent, there
            are fewer than two classes, a test class has no training row, or labels contradict each other.
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
    found = Split(labels, groups, train, test)
    check_classes(found)
    check_leak("group", groups, found, videos)
    return check_contents(found, [os.path.realpath(video.path) for video in videos], videos)


def check_contents(split: Split, contents: Sequence[str], videos: Sequence[Video]) -> Split:
    """Refuse a split that shows a file on both sides, or a span under two labels; count a span once.

    Args:
        split: the rows.
        contents: (N,) what each row's file is known by: its path, or a hash.
        videos: (N,) the rows.

    Returns:
        The split without the later rows of a span.

    Raises:
        LabelsError: see above; the pairs are named.
    """
    check_leak("video", np.array(contents), split, videos)
    first: dict[tuple[str, float, float | None], int] = {}
    later: set[int] = set()
    for row in np.r_[split.train, split.test].tolist():
        one = first.setdefault((contents[row], videos[row].start_s, videos[row].end_s), row)
        if set(split.names(str(split.labels[one]))) != set(split.names(str(split.labels[row]))):
            raise LabelsError(
                f"video {str(videos[row].path)!r} is labelled {str(split.labels[one])!r} (as "
                f"{videos[one].video_id!r}) and {str(split.labels[row])!r}; keep one, or join them with ';'"
            )
        if one != row:
            later.add(row)
    train, test = (
        np.array([r for r in rows.tolist() if r not in later], np.int64) for rows in (split.train, split.test)
    )
    return replace(split, train=train, test=test)


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


def check_classes(split: Split) -> None:
    """Refuse labels that no classifier can learn or be tested on."""
    classes = split.classes
    if len(classes) < 2:
        found = f"only class {classes[0]!r} has" if classes else "no class has"
        raise LabelsError(f"{found} training rows; a probe needs 2 classes or more")
    tested = {name for label in split.labels[split.test].tolist() for name in split.names(label)}
    unknown = sorted(tested - set(classes))
    if unknown:
        raise LabelsError(f"class {unknown[0]!r} has test rows but no training row; mend the split")


def check_leak(what: str, values: Labels, split: Split, videos: Sequence[Video]) -> None:
    """Refuse a split that shares anything between its sides, and name the pairs."""
    sides = [{str(values[row]): int(row) for row in rows[::-1]} for rows in (split.train, split.test)]
    shared = sorted(set(sides[0]) & set(sides[1]))
    if not shared:
        return
    pairs = [
        f"{value!r} is in train and in test ({videos[sides[0][value]].video_id}, "
        f"{videos[sides[1][value]].video_id})"
        for value in shared[:NAMED]
    ]
    more = f" and {len(shared) - NAMED} more" * (len(shared) > NAMED)
    raise LabelsError(f"{what} {', '.join(pairs)}{more}; keep each on one side")


def folds(split: Split, count: int = 5) -> list[tuple[Rows, Rows]]:
    """Group-safe cross-validation within the training rows.

    Args:
        split: labels, groups and training rows.
        count: folds wanted; fewer where there are fewer groups, and only the first of them where there are
            more than 5000 rows.

    Returns:
        (fit, validate) positions within ``split.train``; empty where the rows are one group or a fold could
        not hold two classes, so that defaults have to do.
    """
    targets, groups = split.targets[split.train], split.groups[split.train]
    labels = targets.argmax(1)  # of several, the first
    alone = len(set(groups.tolist())) == len(groups)
    count = min(count, len(set(groups.tolist())), int(np.bincount(labels).max()))
    if count < 2:
        return []
    splitter = StratifiedKFold if alone else StratifiedGroupKFold
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # a class with fewer rows than folds misses some folds
        divided = splitter(count, shuffle=True, random_state=0).split(np.zeros(len(labels)), labels, groups)
        pairs = [(fit, check) for fit, check in divided if len(set(labels[fit].tolist())) > 1 and len(check)]
    return pairs[:1] if len(labels) > MANY else pairs


def balanced_accuracy(truth: Labels, predicted: Labels) -> float:
    """Mean recall over the classes of ``truth``, in [0, 1]."""
    wrong_class = ~np.isin(predicted, truth)
    known = np.where(wrong_class, "", predicted)  # a class without test rows is just a wrong answer
    recalls = [np.mean(known[truth == name] == name) for name in np.unique(truth)]
    return float(np.mean(recalls))
