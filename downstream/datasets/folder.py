"""What a data set's folder holds, found by name at any depth, since copies are laid out differently."""

import json
import re
from collections import defaultdict
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from sora_video.base.digests import open_file
from sora_video.base.errors import CorpusError
from sora_video.pretrain.video.corpus import SUFFIXES, walk

__all__ = ["Entry", "Folder"]

Content = TypeVar("Content")
ANY = re.compile(".*")
REMEDY = "it is another data set's, or damaged; copy the official list there"


@dataclass(frozen=True)
class Entry:
    """One video that a data set's lists name, or the span of one."""

    name: str
    """Its file's name without folder and ending, by which it is found."""
    columns: dict[str, str]
    """label, group, split and any more."""
    span_s: tuple[float, float] | None = None
    """Start and end in seconds; None: the whole file."""


@dataclass
class Folder:
    """The files below a folder.

    Args:
        root: the folder.

    Raises:
        CorpusError: there is no such folder.
    """

    root: Path
    videos: dict[str, list[Path]] = field(default_factory=lambda: defaultdict(list))
    """By name without folder and ending."""
    lists: dict[str, list[Path]] = field(default_factory=lambda: defaultdict(list))
    """All other files, by name."""

    def __post_init__(self) -> None:
        if not self.root.is_dir():
            raise CorpusError(f"data set {self.root}: no such folder; unpack the data set there")
        for path in sorted(walk(self.root)):
            if path.name.startswith("."):  # such as a Mac's ._train.csv
                continue
            if path.suffix.lower() in SUFFIXES:
                self.videos[path.stem].append(path)
            else:
                self.lists[path.name].append(path)

    def has_list(self, *names: str) -> bool:
        """Whether a file of one of these names is there."""
        return any(name in self.lists for name in names)

    def read_list(self, names: Sequence[str], read: Callable[[Path], Content]) -> Content:
        """The content of the one list of some names that is this data set's.

        Other data sets and tasks have lists of the same names; they are passed over where one list fits.

        Args:
            names: the list's name, or all that it may have.
            read: gives the content of a file; raises a ``CorpusError`` where it is another data set's.

        Raises:
            CorpusError: there is none, none fits, or several fit and differ.
        """
        paths = [path for name in names for path in self.lists.get(name, ())]
        contents, refusals = {}, []
        for path in paths:
            try:
                contents[path] = read(path)
            except CorpusError as error:
                refusals.append(error)
        if not contents:
            raise refusals[0] if refusals else self.missing(names)
        first, *others = contents
        for other in others:
            if contents[other] != contents[first]:
                raise CorpusError(
                    f"data set {self.root}: {first.name} is there as {first} and as {other}, which differ; "
                    "name a folder that holds one of them"
                )
        return contents[first]

    def missing(self, names: Sequence[str]) -> CorpusError:
        """The error that a list is not there."""
        return CorpusError(
            f"data set {self.root}: {' or '.join(names)} is missing; copy the official lists there, "
            "`sora datasets` says where they are"
        )

    def lines(self, *names: str, line: re.Pattern[str] = ANY, shape: str = "") -> list[str]:
        """The lines of such a list that are not empty.

        Args:
            names: the list's name, or all that it may have.
            line: what every line is.
            shape: the same in words.

        Raises:
            CorpusError: see :meth:`read_list`.
        """
        return self.read_list(names, lambda path: read_lines(path, line, shape))

    def json(self, *names: str, keys: Collection[str] = ()) -> Any:
        """The content of such a list.

        Args:
            names: the list's name, or all that it may have.
            keys: what every row has; none: it has no rows.

        Raises:
            CorpusError: see :meth:`read_list`.
        """
        return self.read_list(names, lambda path: read_json(path, keys))

    def video(self, name: str) -> Path | None:
        """The file of that name, whatever its ending.

        Raises:
            CorpusError: there are several.
        """
        paths = self.videos.get(name, [])
        if len(paths) > 1:
            raise CorpusError(
                f"data set {self.root}: {name} is there as {paths[0]} and as {paths[1]}; "
                "name a folder that holds one of them"
            )
        return paths[0] if paths else None


def read_text(path: Path) -> str:
    """A list's text.

    Raises:
        CorpusError: it cannot be read, or is not in UTF-8.
    """
    try:
        with open_file(path) as file:
            return file.read().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise CorpusError(f"{path}: is no text in UTF-8: {error}; {REMEDY}") from error
    except OSError as error:
        raise CorpusError(f"{path}: cannot be read: {error}; {REMEDY}") from error


def read_lines(path: Path, line: re.Pattern[str], shape: str) -> list[str]:
    """The lines of a list that are not empty.

    Raises:
        CorpusError: see :func:`read_text`; or a line is of another shape.
    """
    lines = [text.strip() for text in read_text(path).splitlines() if text.strip()]
    for text in lines:
        if not line.fullmatch(text):
            raise CorpusError(f"{path}: {text!r} is not {shape}; {REMEDY}")
    return lines


def read_json(path: Path, keys: Collection[str]) -> Any:
    """The content of a list.

    Raises:
        CorpusError: see :func:`read_text`; or it is no JSON, or a row lacks a key.
    """
    try:
        content = json.loads(read_text(path))
    except (ValueError, RecursionError) as error:
        raise CorpusError(f"{path}: is no JSON: {error}; {REMEDY}") from error
    if keys and not isinstance(content, list):
        raise CorpusError(f"{path}: holds {type(content).__name__}, not rows; {REMEDY}")
    for row in content if keys else ():
        if not isinstance(row, dict) or not row.keys() >= set(keys):
            raise CorpusError(f"{path}: {row} has no {' or '.join(sorted(keys))}; {REMEDY}")
    return content
