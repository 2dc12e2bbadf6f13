"""What a data set's folder holds, found by name at any depth, since copies are laid out differently."""

import json
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sora_video.base.errors import CorpusError
from sora_video.pretrain.video.corpus import SUFFIXES, walk

__all__ = ["Entry", "Folder"]


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
    lists: dict[str, Path] = field(default_factory=dict)
    """All other files, by name."""

    def __post_init__(self) -> None:
        if not self.root.is_dir():
            raise CorpusError(f"data set {self.root}: no such folder; unpack the data set there")
        for path in sorted(walk(self.root)):
            if path.suffix.lower() in SUFFIXES:
                self.videos[path.stem].append(path)
            else:
                self.lists.setdefault(path.name, path)

    def list_of(self, *names: str) -> Path | None:
        """The first of these files that is there."""
        return next((self.lists[name] for name in names if name in self.lists), None)

    def needed(self, *names: str) -> Path:
        """The first of these files that is there.

        Raises:
            CorpusError: none is.
        """
        path = self.list_of(*names)
        if path is None:
            raise CorpusError(
                f"data set {self.root}: {' or '.join(names)} is missing; copy the official lists there, "
                "`sora datasets` says where they are"
            )
        return path

    def lines(self, *names: str) -> list[str]:
        """The lines of such a file that are not empty."""
        text = self.needed(*names).read_text(encoding="utf-8-sig")
        return [line.strip() for line in text.splitlines() if line.strip()]

    def json(self, *names: str) -> Any:
        """The content of such a file.

        Raises:
            CorpusError: it is missing, or no JSON.
        """
        path = self.needed(*names)
        try:
            return json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise CorpusError(f"{path}: is no JSON: {error}; download it again") from error

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
