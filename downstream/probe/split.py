"""Which rows are trained on and which are tested.

The same span of the same file, under whatever name, counts once, has one label, and is on one side. A group
is on one side. Every test class has training rows; a class without test rows is not measured. A label such as
``run;jump`` names several classes and makes the set multi-label.

:func:`check_split` holds these rules. It runs when labels are read, again when the files' contents are known,
and again whenever rows leave a split, which they do through :func:`drop_rows` alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from sora_video.base.errors import LabelsError
from sora_video.pretrain.video.corpus import Corpus, Video

from .folds import group_folds

__all__ = ["Labels", "Rows", "Split", "check_split", "drop_rows", "used_rows"]

Rows = NDArray[np.int64]
Labels = NDArray[np.str_]
SEPARATOR = ";"
"""Between the classes of one row."""
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
    lost: tuple[str, ...] = ()
    """Classes of which no row on either side could be read."""

    @cached_property
    def multi(self) -> bool:
        """Whether any row may have several classes."""
        return any(SEPARATOR in label for label in self.labels[np.r_[self.train, self.test]].tolist())

    @property
    def headline(self) -> str:
        """The metric that choices and tables go by."""
        return "mAP" if self.multi else "balanced"

    @property
    def chance(self) -> float:
        """The headline metric of guessing, in [0, 1]."""
        if not self.multi:
            return 1 / len(self.classes)
        shares = self.targets[self.test].mean(0)
        return float(shares[shares > 0].mean())

    @cached_property
    def classes(self) -> list[str]:
        """The classes of the training rows, sorted."""
        return sorted(self.classes_of(self.train))

    def names(self, label: str) -> list[str]:
        """The classes that a row's label names."""
        if not self.multi:
            return [label]
        return [part.strip() for part in label.split(SEPARATOR) if part.strip()]

    def classes_of(self, rows: Rows) -> set[str]:
        """The classes that some rows have."""
        return {name for label in set(self.labels[rows].tolist()) for name in self.names(label)}

    @cached_property
    def targets(self) -> NDArray[np.bool_]:
        """(N, C) which of ``classes`` each row has."""
        columns = {name: column for column, name in enumerate(self.classes)}
        targets = np.zeros((len(self.labels), len(columns)), np.bool_)
        for row, label in enumerate(self.labels.tolist()):
            targets[row, [columns[name] for name in self.names(label) if name in columns]] = True
        return targets

    @cached_property
    def pairs(self) -> list[tuple[Rows, Rows]]:
        """(fit, validate) positions within ``train``, see :func:`.folds.group_folds`.

        Of several classes a row, the first counts.
        """
        return group_folds(self.targets[self.train].argmax(1), self.groups[self.train])


def used_rows(corpus: Corpus, split: Split) -> tuple[Corpus, Split]:
    """The rows that are on a side, and none of the others.

    Args:
        corpus: N videos.
        split: their labels.

    Returns:
        The videos on a side, and the same split with their positions.
    """
    used = np.union1d(split.train, split.test)
    train, test = (np.searchsorted(used, rows) for rows in (split.train, split.test))
    kept = Corpus(corpus.root, tuple(corpus.videos[row] for row in used))
    return kept, replace(split, labels=split.labels[used], groups=split.groups[used], train=train, test=test)


def drop_rows(
    split: Split, dropped: NDArray[np.bool_], contents: Sequence[str], videos: Sequence[Video]
) -> Split:
    """Take videos that cannot be read out of a split, and check what is left.

    Args:
        split: N rows.
        dropped: (N,) which cannot be read.
        contents: (N,) see :func:`check_split`.
        videos: (N,) the rows.

    Returns:
        The split without them; a class that is left on neither side is named in ``lost``.

    Raises:
        LabelsError: too little is left on a side, or a test class has no training row left.
    """
    train, test = (rows[~dropped[rows]] for rows in (split.train, split.test))
    left = replace(split, train=train, test=test)
    if len(test) == 0 or len(left.classes) < 2:
        raise LabelsError("too few labelled videos can be read; run `sora scan` on the manifest")
    for name in sorted(left.classes_of(test) - set(left.classes)):
        unreadable = [
            videos[row].video_id for row in split.train if name in split.names(str(split.labels[row]))
        ]
        raise LabelsError(
            f"class {name!r} has test rows but none of its {len(unreadable)} training rows can be read, the "
            f"first is {unreadable[0]}; fix these files, or remove the class from the labels"
        )
    gone = split.classes_of(np.r_[split.train, split.test]) - left.classes_of(np.r_[train, test])
    return check_split(replace(left, lost=tuple(sorted({*split.lost, *gone}))), contents, videos)


def check_split(split: Split, contents: Sequence[str], videos: Sequence[Video]) -> Split:
    """Refuse a split that breaks a rule of this module; count a span once.

    Args:
        split: N rows.
        contents: (N,) what each row's file is known by: its path, or a hash of its bytes.
        videos: (N,) the rows.

    Returns:
        The split without the later rows of a span.

    Raises:
        LabelsError: there are fewer than two classes, a test class has no training row, a group or file is on
            both sides, or labels contradict each other.
    """
    check_classes(split)
    check_leak("group", split.groups, split, videos)
    check_leak("video", np.array(contents), split, videos)
    return without_repeats(split, contents, videos)


def check_classes(split: Split) -> None:
    """Refuse labels that no classifier can learn or be tested on."""
    classes = split.classes
    if len(classes) < 2:
        known = f"only class {classes[0]!r} has" if classes else "no class has"
        raise LabelsError(f"{known} training rows; a probe needs 2 classes or more")
    untrained = sorted(split.classes_of(split.test) - set(classes))
    if untrained:
        raise LabelsError(
            f"class {untrained[0]!r} has test rows but no training row; add training rows, or remove it"
        )


def check_leak(what: str, values: Labels, split: Split, videos: Sequence[Video]) -> None:
    """Refuse a split that shares anything between its sides, and name the pairs."""
    train, test = ({str(values[row]): int(row) for row in rows[::-1]} for rows in (split.train, split.test))
    shared = sorted(set(train) & set(test))
    if not shared:
        return
    pairs = [
        f"{value!r} is in train and in test ({videos[train[value]].video_id}, {videos[test[value]].video_id})"
        for value in shared[:NAMED]
    ]
    more = f" and {len(shared) - NAMED} more" * (len(shared) > NAMED)
    raise LabelsError(f"{what} {', '.join(pairs)}{more}; keep each on one side")


def without_repeats(split: Split, contents: Sequence[str], videos: Sequence[Video]) -> Split:
    """The split without the later rows of a span; refuses a span under two labels."""
    first_rows: dict[tuple[str, float, float | None], int] = {}
    repeats: set[int] = set()
    for row in np.r_[split.train, split.test].tolist():
        first = first_rows.setdefault((contents[row], videos[row].start_s, videos[row].end_s), row)
        before, after = str(split.labels[first]), str(split.labels[row])
        if set(split.names(before)) != set(split.names(after)):
            raise LabelsError(
                f"video {str(videos[row].path)!r} is labelled {before!r} (as {videos[first].video_id!r}) and "
                f"{after!r}; keep one, or join them with ';'"
            )
        if first != row:
            repeats.add(row)
    train, test = (rows[~np.isin(rows, list(repeats))] for rows in (split.train, split.test))
    return replace(split, train=train, test=test)
