"""Labels of a library's videos: a CSV beside it, a manifest that every command takes."""

import csv
import io
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from sora_video.base.errors import LabelsError
from sora_video.base.files import write_text
from sora_video.base.locks import locked
from sora_video.base.times import parse_time
from sora_video.index.library import Library
from sora_video.index.store.video_source import VideoSource
from sora_video.pretrain.video.corpus import Corpus
from sora_video.pretrain.video.manifest import read_manifest

__all__ = ["LabelledSpan", "Labels", "Span", "labels_path"]

LABEL = "label"
FIRST = ("path", "video_id", LABEL)
"""Columns that every file has."""
SPAN = ("start_s", "end_s")
RESERVED = ("path", "video_id", "start_s", "end_s", "group", "split")
"""Columns that hold no labels."""
Span = tuple[str, float, float]
"""Video, start and end in seconds."""
Key = tuple[str, float, float | None]
"""Video and span of a row."""
WHOLE = (0.0, None)
"""The span of a row of a whole video."""
EMPTY: Mapping[Span, str | None] = MappingProxyType({})


class LabelledSpan(NamedTuple):
    """A span, and its labels by column."""

    video_id: str
    start_s: float
    end_s: float
    labels: dict[str, str]


def labels_path(library: Path) -> Path:
    """Where the labels of a library are.

    Args:
        library: its folder.
    """
    return library.with_name(f"{library.name}.labels.csv")


class Labels:
    """Reads and writes the file; rows and columns that others wrote stay.

    Args:
        path: see :func:`labels_path`.
        library: whose videos are labelled.
        videos: folder of the library's videos; None: where they were added from.
    """

    def __init__(self, path: Path, library: Library, videos: Path | None) -> None:
        self.path, self.library, self.videos = path, library, videos

    def corpus(self) -> Corpus:
        """The labelled videos under their names in the library; rows of others are left out.

        Raises:
            CorpusError: the file cannot be read.
        """
        if not self.path.exists():
            return Corpus(self.path.parent, ())
        rows, videos = [], list(read_manifest(self.path))
        is_named = all(video.columns.get("video_id") for video in videos)
        known = {} if is_named else self.names_by_file()
        for video in videos:
            name = video.columns.get("video_id") or known.get(os.path.realpath(video.path))
            if name is not None:
                columns = {key: value for key, value in video.columns.items() if key != "video_id"}
                rows.append(replace(video, video_id=name, columns=columns))
        held = self.library.contents({row.video_id for row in rows})
        return Corpus(self.path.parent, tuple(row for row in rows if row.video_id in held))

    def by_video(self) -> dict[str, dict[str, str]]:
        """Labels of whole videos, by video and column."""
        found: dict[str, dict[str, str]] = {}
        for row in self.corpus().videos:
            if (row.start_s, row.end_s) == WHOLE:
                found.setdefault(row.video_id, {}).update(labels_in(row.columns))
        return found

    def of_spans(self) -> list[LabelledSpan]:
        """Labels of spans, in the order of the file; those that go on to the end of a video are left out."""
        return [
            LabelledSpan(row.video_id, row.start_s, row.end_s, labels_in(row.columns))
            for row in self.corpus().videos
            if row.end_s is not None
        ]

    def set(
        self,
        changes: Mapping[str, str | None],
        column: str = "label",
        spans: Mapping[Span, str | None] = EMPTY,
    ) -> None:
        """Set labels of whole videos and of spans, all of them or none.

        Args:
            changes: labels by video; None takes one away.
            column: of the labels.
            spans: labels by video, start and end in seconds; None takes one away, and the row with the last.

        Raises:
            LabelsError: a label, a span or the column cannot be written, or the library lacks a video.
            StorageError: the disk refused the write.
        """
        check_column(column)
        labelled = [*changes.items(), *((span[0], label) for span, label in spans.items())]
        for name, label in labelled:
            if label is not None and (not label.strip() or label != label.strip() or not label.isprintable()):
                raise LabelsError(f"video {name}: label {label!r}: must be a text without blanks around it")
        for name, start_s, end_s in spans:
            if not 0 <= start_s < end_s:
                raise LabelsError(f"video {name}: end_s={end_s:g}: must be after start_s={start_s:g}")
        self.library.sources({name for name, _ in labelled})
        wanted: dict[Key, str | None] = {(name, *WHOLE): label for name, label in changes.items()}
        wanted |= {(name, tidy(start), tidy(end)): label for (name, start, end), label in spans.items()}
        with locked(self.path.with_name(f".{self.path.name}.lock")):
            columns, rows = self.read()
            columns = [*dict.fromkeys([*columns, *FIRST, *(SPAN if spans else ()), column])]
            rows = self.changed(rows, wanted, column)
            text = io.StringIO()
            writer = csv.DictWriter(text, columns, restval="", lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)
            write_text(self.path, text.getvalue())

    def changed(
        self, rows: Sequence[dict[str, str]], wanted: Mapping[Key, str | None], column: str
    ) -> list[dict[str, str]]:
        """Rows with changed labels, with those that were missing, without spans that have none any more."""
        known = {} if all(row.get("video_id") for row in rows) else self.names_by_file()
        rows, by_key = [*rows], {self.key_of(row, known): row for row in rows}
        emptied = []
        for key, label in wanted.items():
            is_whole = key[1:] == WHOLE
            if key not in by_key:
                if label is None and not is_whole:
                    continue
                times = (
                    {}
                    if is_whole
                    else {name: spelled(time) for name, time in zip(SPAN, key[1:], strict=True)}
                )
                by_key[key] = {"path": self.file_of(key[0]), **times}
                rows.append(by_key[key])
            by_key[key] |= {"video_id": key[0], column: label or ""}
            if not is_whole and not any(labels_in(by_key[key]).values()):
                emptied.append(by_key[key])
        return [row for row in rows if not any(row is each for each in emptied)]

    def key_of(self, row: Mapping[str, str], known: Mapping[str, str]) -> Key:
        """The video and the span of a row."""
        name = row.get("video_id") or known.get(os.path.realpath(self.path.parent / row["path"]), "")
        try:
            start, end = (parse_time(row[key]) if row.get(key) else None for key in SPAN)
        except ValueError:
            return name, -1.0, None  # is left as it is
        return name, tidy(start or 0.0), None if end is None else tidy(end)

    def read(self) -> tuple[list[str], list[dict[str, str]]]:
        """Columns and rows of the file.

        Raises:
            LabelsError: it is no CSV with commas.
        """
        if not self.path.exists():
            return [], []
        try:
            text = self.path.read_text(encoding="utf-8-sig")
            reader = csv.DictReader(io.StringIO(text, newline=""), restval="", strict=True)
            rows = list(reader)
        except (OSError, UnicodeDecodeError, csv.Error) as error:
            raise LabelsError(
                f"labels {self.path.name}: cannot be read: {error}; correct the file"
            ) from error
        if "path" not in (reader.fieldnames or ()):
            raise LabelsError(f"labels {self.path.name}: has no column path; write a CSV with commas")
        if any(None in row for row in rows):
            raise LabelsError(f"labels {self.path.name}: a row has more cells than columns; correct the file")
        return [*(reader.fieldnames or ())], rows

    def names_by_file(self) -> dict[str, str]:
        """The library's videos by their files."""
        return {
            os.path.realpath(self.path.parent / self.file_of(name)): name for name in self.library.videos()
        }

    def file_of(self, name: str) -> str:
        """The path of a video as the file has it: relative to it where it lies below its folder."""
        source = VideoSource(str(self.videos)) if self.videos else self.library.sources([name])[name]
        if source is None:
            return name
        path, here = source.path(name).absolute(), self.path.parent.absolute()
        return os.path.relpath(path, here) if path.is_relative_to(here) else str(path)


def tidy(seconds: float) -> float:
    """A time as it is written."""
    return round(seconds, 3)


def spelled(seconds: float | None) -> str:
    """A time as a cell has it."""
    return "" if seconds is None else f"{seconds:.3f}".rstrip("0").rstrip(".")


def labels_in(columns: Mapping[str, str]) -> dict[str, str]:
    """The labels of a row by column."""
    return {key: value for key, value in columns.items() if key not in RESERVED}


def check_column(column: str) -> None:
    """Refuse a column that holds no labels, in whatever case: commands read headers so.

    Raises:
        LabelsError: it does not.
    """
    plain = column.strip().lower()
    if plain in RESERVED or not column.strip() or column != column.strip() or not column.isprintable():
        raise LabelsError(f"column {column!r}: holds no labels; name another")
    if plain == LABEL and column != LABEL:
        raise LabelsError(f"column {column!r}: is taken for {LABEL}; write it so")
