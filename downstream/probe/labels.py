"""Labels and splits from the columns of a manifest, or from class folders."""

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from sora_video.base import console
from sora_video.base.errors import LabelsError
from sora_video.base.randomness import generator
from sora_video.pretrain.video.corpus import Corpus

from .split import Rows, Split, check_split

__all__ = ["column_of", "hold_out", "members_by_class", "plain_sides", "read_split"]


SIDES = ("train", "test")
NO_COLUMNS = (
    "there are no columns: give a manifest that has them, or --class-folders for a folder with one folder a "
    "class"
)
NAMED = 3
"""Values that a message names."""


def read_split(corpus: Corpus, *, label: str = "label", group: str = "group", split: str = "split") -> Split:
    """Take labels and the split from a manifest's columns; see :mod:`.split` for the rules.

    Rows without a label or without a split are ignored.

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
    videos = corpus.videos
    columns = [video.columns for video in videos]
    check_columns(columns, label, group, split)
    sides = [row.get(split, "") if label in row else "" for row in columns]
    train, test = (np.flatnonzero([side == name for side in sides]) for name in ("train", "test"))
    for rows, name in ((train, "train"), (test, "test")):
        if len(rows) == 0:
            raise LabelsError(f"no labelled row has {split}={name}; values are {sorted(set(sides))}")
    check_files(corpus, np.r_[train, test])
    labels = np.array([row.get(label, "") for row in columns])
    groups = np.array([row.get(group, video.video_id) for row, video in zip(columns, videos, strict=True)])
    paths = [os.path.realpath(video.path) for video in videos]
    return check_split(Split(labels, groups, train, test), paths, videos)


def column_of(corpus: Corpus, name: str) -> str:
    """A column's name as the manifest spells it: ``Colour`` for ``colour`` where only that is there.

    Args:
        corpus: a manifest.
        name: as the user writes it.

    Returns:
        The manifest's spelling; ``name`` where it has no such column, or several.
    """
    known = {key for video in corpus.videos for key in video.columns}
    alike = [key for key in known if key.casefold() == name.casefold()]
    return alike[0] if len(alike) == 1 and name not in known else name


def plain_sides(corpus: Corpus, split: str) -> Corpus:
    """The corpus with ``train`` and ``test`` in small letters; other sides are named on standard error.

    Args:
        corpus: a manifest.
        split: column that says train or test, in any case.
    """
    sides = [video.columns.get(split, "") for video in corpus.videos]
    others = Counter(side for side in sides if side and side.casefold() not in SIDES)
    if others:
        counts = ", ".join(f"{count} of {side!r}" for side, count in others.most_common(NAMED))
        console.warn(f"{split}: rows are ignored that are neither train nor test: {counts}")
    videos = (
        replace(video, columns={**video.columns, split: side.casefold()})
        if side.casefold() in SIDES
        else video
        for video, side in zip(corpus.videos, sides, strict=True)
    )
    return replace(corpus, videos=tuple(videos))


def check_columns(columns: Sequence[Mapping[str, str]], label: str, group: str, split: str) -> None:
    """Refuse the name of a column that no row has."""
    known = sorted({key for row in columns for key in row})
    for column, name in ((label, "label"), (split, "split")):
        if column not in known:
            there = f"the columns are {', '.join(known)}" if known else NO_COLUMNS
            raise LabelsError(f"{name} column {column!r} is in no row; {there}")
    if group != "group" and group not in known:
        raise LabelsError(f"group column {group!r} is in no row; check the name")


def check_files(corpus: Corpus, rows: Rows) -> None:
    """Refuse rows whose file does not exist."""
    absent = [corpus.videos[row].path for row in rows if not corpus.videos[row].path.is_file()]
    if absent:
        raise LabelsError(
            f"{len(absent)} labelled files do not exist, the first is {absent[0]}; fix the manifest"
        )


def members_by_class(corpus: Corpus) -> dict[str, list[int]]:
    """The videos of each class folder.

    Args:
        corpus: videos with a label each.

    Returns:
        Positions in the corpus by class.

    Raises:
        LabelsError: a class has one video, which cannot be both trained on and checked.
    """
    members: dict[str, list[int]] = {}
    for entry, video in enumerate(corpus.videos):
        members.setdefault(video.columns["label"], []).append(entry)
    for name, entries in members.items():
        if len(entries) < 2:
            raise LabelsError(
                f"class folder {name!r} has 1 video ({corpus.videos[entries[0]].video_id}); a class needs 2, "
                "one to train on and one to test: add a video to the folder, or remove it"
            )
    return members


def hold_out(corpus: Corpus, fraction: float = 1 / 3, seed: int = 0) -> Corpus:
    """Divide class folders, which name no split: the same fraction of each class is drawn for testing.

    Args:
        corpus: videos with a label each, every video a group of its own.
        fraction: share of each class that is tested, at least one video.
        seed: decides the draw.

    Returns:
        The corpus with a ``split`` column.

    Raises:
        LabelsError: a class has one video, which cannot be on both sides.
    """
    test: set[int] = set()
    for name, entries in members_by_class(corpus).items():
        order = generator(seed, "hold out", name).permutation(len(entries))
        test.update(entries[position] for position in order[: max(1, round(fraction * len(entries)))])
    videos = (
        replace(video, columns={**video.columns, "split": "test" if entry in test else "train"})
        for entry, video in enumerate(corpus.videos)
    )
    return Corpus(corpus.root, tuple(videos))
