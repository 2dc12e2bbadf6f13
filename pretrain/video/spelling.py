"""Labels that look alike: ``run`` and ``run``, one with a blank at its end, are one class to a person."""

import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace

from sora_video.base import console
from sora_video.base.errors import LabelsError

from .corpus import Corpus, Video

__all__ = ["one_spelling"]

JOIN = "or join them with --join-labels"
NAMED = 3
"""Groups of labels that a message names."""


def one_spelling(
    corpus: Corpus,
    columns: Sequence[str] = ("label",),
    *,
    join: bool = False,
    separator: str | None = None,
    remedy: str = JOIN,
) -> Corpus:
    """Refuse, or join, labels that differ only in white space, case or Unicode form.

    Invisible characters, such as a zero-width space, count as white space.

    Args:
        corpus: labelled videos.
        columns: of labels; each is looked at alone.
        join: give such labels the spelling that most rows have, and say so on standard error.
        separator: between the classes of one row, each of which is looked at; None: a row has one.
        remedy: what else than editing the labels helps.

    Returns:
        The corpus; with ``join``, one spelling for each class.

    Raises:
        LabelsError: labels look alike, and ``join`` is not set; or one is blank.
    """
    for column in columns:
        rows = [split(video.columns.get(column, ""), separator) for video in corpus.videos]
        counts = Counter(name for names in rows for name in names)
        check_blank(corpus.videos, column, counts)
        alike = groups_of(counts)
        if alike and not join:
            raise LabelsError(
                f"{column}: {told(alike)} differ only in white space, case or Unicode form; edit the labels, "
                f"{remedy}"
            )
        if alike:
            console.warn(f"{column}: joined {told(alike)}, each as the first of them")
            spelling = {name: group[0] for group in alike for name in group}
            joined = [(separator or "").join(spelling.get(name, name) for name in names) for names in rows]
            corpus = relabelled(corpus, column, joined)
    return corpus


def split(label: str, separator: str | None) -> list[str]:
    """The classes that a row names."""
    if separator is None or separator not in label:
        return [label] if label else []
    return [part.strip() for part in label.split(separator) if part.strip()]


def groups_of(counts: Counter[str]) -> list[list[str]]:
    """Classes that look alike, the most frequent spelling of each group first."""
    groups: dict[str, list[str]] = {}
    for name in sorted(counts, key=lambda name: (-counts[name], len(name), name)):
        groups.setdefault(folded(name), []).append(name)
    return [names for names in groups.values() if len(names) > 1]


def folded(label: str) -> str:
    """What labels that look alike have in common."""
    text = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", label).casefold())
    return "".join(letter for letter in text if not letter.isspace() and unicodedata.category(letter) != "Cf")


def check_blank(videos: Sequence[Video], column: str, labels: Iterable[str]) -> None:
    """Refuse a label that nobody sees."""
    for label in labels:
        if not folded(label):
            video = next(video for video in videos if label in video.columns.get(column, ""))
            raise LabelsError(
                f"{column}: {video.video_id} has the label {label!r}, which is blank; name a class, or leave "
                "the cell empty"
            )


def told(alike: Sequence[Sequence[str]]) -> str:
    """Groups of labels in words, their difference visible."""
    groups = [" and ".join(visible(names)) for names in alike[:NAMED]]
    more = f", and {len(alike) - NAMED} more groups" if len(alike) > NAMED else ""
    return ", ".join(groups) + more


def visible(names: Sequence[str]) -> list[str]:
    """Labels in quotes, letters by number where they would look the same."""
    quoted = list(map(repr, names))
    same = len({unicodedata.normalize("NFKC", text) for text in quoted}) < len(quoted)
    return list(map(ascii, names)) if same else quoted


def relabelled(corpus: Corpus, column: str, labels: Sequence[str]) -> Corpus:
    """The corpus with other labels; rows without one stay as they are."""
    videos = (
        replace(video, columns={**video.columns, column: label}) if label else video
        for video, label in zip(corpus.videos, labels, strict=True)
    )
    return replace(corpus, videos=tuple(videos))
