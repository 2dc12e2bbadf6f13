"""Labels of a library's videos: a CSV beside it, a manifest that every command takes."""

import csv
import io
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from sora_video.base.errors import LabelsError
from sora_video.base.files import write_text
from sora_video.base.locks import locked
from sora_video.index.library import Library
from sora_video.index.store.video_source import VideoSource
from sora_video.pretrain.video.corpus import Corpus
from sora_video.pretrain.video.manifest import read_manifest

__all__ = ["Labels", "labels_path"]

FIRST = ("path", "video_id", "label")
"""Columns that every file has."""
RESERVED = ("path", "video_id", "start_s", "end_s", "group", "split")
"""Columns that hold no labels."""


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
            if row.start_s == 0 and row.end_s is None:
                values = {key: value for key, value in row.columns.items() if key not in RESERVED}
                found.setdefault(row.video_id, {}).update(values)
        return found

    def set(self, changes: Mapping[str, str | None], column: str = "label") -> None:
        """Set the labels of whole videos, all of them or none.

        Args:
            changes: labels by video; None takes one away.
            column: of the labels.

        Raises:
            LabelsError: a label or the column cannot be written, or the library lacks a video.
            StorageError: the disk refused the write.
        """
        if column in RESERVED or not column.strip() or not column.isprintable():
            raise LabelsError(f"column {column!r}: holds no labels; name another")
        for name, label in changes.items():
            if label is not None and (not label.strip() or label != label.strip() or not label.isprintable()):
                raise LabelsError(f"video {name}: label {label!r}: must be a text without blanks around it")
        self.library.sources(changes)
        with locked(self.path.with_name(f".{self.path.name}.lock")):
            columns, rows = self.read()
            columns = [*dict.fromkeys([*columns, *FIRST, column])]
            self.change(rows, changes, column)
            text = io.StringIO()
            writer = csv.DictWriter(text, columns, restval="", lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)
            write_text(self.path, text.getvalue())

    def change(self, rows: list[dict[str, str]], changes: Mapping[str, str | None], column: str) -> None:
        """Change rows, and add those that are missing."""
        known = {} if all(row.get("video_id") for row in rows) else self.names_by_file()
        whole = {
            row.get("video_id") or known.get(os.path.realpath(self.path.parent / row["path"])): row
            for row in rows
            if not row.get("start_s") and not row.get("end_s")
        }
        for name, label in changes.items():
            if name not in whole:
                whole[name] = {"path": self.file_of(name)}
                rows.append(whole[name])
            whole[name] |= {"video_id": name, column: label or ""}

    def read(self) -> tuple[list[str], list[dict[str, str]]]:
        """Columns and rows of the file.

        Raises:
            LabelsError: it is no CSV with commas.
        """
        if not self.path.exists():
            return [], []
        text = self.path.read_text(encoding="utf-8-sig")
        reader = csv.DictReader(io.StringIO(text))
        rows = list(reader)
        if "path" not in (reader.fieldnames or ()):
            raise LabelsError(f"labels {self.path.name}: has no column path; write a CSV with commas")
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
