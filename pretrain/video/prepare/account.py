"""The account that a prepared folder keeps of its videos, so that it can be continued at any time.

``prepared.jsonl`` holds the settings in its first line, then one line for each attempt at a video, of which
the last counts. A line is written when the video is complete, so that a kill loses only unfinished videos.
"""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO, Literal

from sora_video.base.errors import RunError
from sora_video.base.locks import lock
from sora_video.base.storage import storage_errors

from .picture import Settings

__all__ = ["Account", "Entry", "open_account"]

NAME = "prepared.jsonl"


@dataclass(frozen=True, kw_only=True)
class Entry:
    """The result of preparing one video."""

    video_id: str
    output: str
    """Path in the folder, with ``/``."""
    status: Literal["done", "failed"]
    reason: str | None
    """Why it failed."""
    source_bytes: int | None
    """None if the file is missing."""
    source_mtime_ns: int | None


class Account:
    """An account that is open for writing.

    Args:
        path: its path, for messages.
        file: the file, behind its last whole line.
        entries: those that it has already.
    """

    def __init__(self, path: Path, file: BinaryIO, entries: list[Entry]) -> None:
        self.path, self.file = path, file
        self.entries = {entry.video_id: entry for entry in entries}

    def add(self, entry: Entry) -> None:
        """Write an entry to the disk.

        Args:
            entry: replaces an earlier one of the same video.

        Raises:
            StorageError: the disk refused the write.
        """
        self.entries[entry.video_id] = entry
        write_line(self.path, self.file, asdict(entry))


@contextmanager
def open_account(folder: Path, settings: Settings) -> Iterator[Account]:
    """Open a folder's account, or start one; no other process can open it meanwhile.

    Args:
        folder: made when missing.
        settings: what videos are reduced to.

    Yields:
        The account.

    Raises:
        RunError: the folder holds something else, was prepared with other settings or is in use.
        StorageError: the folder cannot be written.
    """
    path = folder / NAME
    if folder.exists() and not (folder.is_dir() and (path.exists() or is_empty(folder))):
        raise RunError(f"--out {folder}: exists already and was not made by `sora prepare`; choose another")
    with storage_errors(path):
        folder.mkdir(parents=True, exist_ok=True)
        file = path.open("a+b")
    with file:
        if not lock(file.fileno(), wait=False):
            raise RunError(f"{path}: another `sora prepare` is writing it; wait until it is done")
        lines = read_lines(path, file)
        if not lines:
            write_line(path, file, asdict(settings))
        else:
            check_settings(path, lines[0], settings)
        try:
            entries = [Entry(**line) for line in lines[1:]]
        except TypeError as error:
            raise damage(path) from error
        yield Account(path, file, entries)


def is_empty(folder: Path) -> bool:
    """Whether a folder holds nothing but hidden files, which a kill leaves behind."""
    return all(path.name.startswith(".") for path in folder.iterdir())


def read_lines(path: Path, file: BinaryIO) -> list[dict[str, Any]]:
    """The lines of an account; one that a kill cut off is removed."""
    file.seek(0)
    text = file.read()
    whole = text[: text.rfind(b"\n") + 1]
    if whole != text:
        file.truncate(len(whole))
    try:
        return [json.loads(line) for line in whole.splitlines()]
    except ValueError as error:
        raise damage(path) from error


def damage(path: Path) -> RunError:
    """The error for an account that this module has not written."""
    return RunError(f"{path}: is damaged; prepare to another folder")


def check_settings(path: Path, stored: dict[str, Any], settings: Settings) -> None:
    """Refuse settings that differ from those of an account."""
    for name, value in asdict(settings).items():
        if name not in stored:
            raise damage(path)
        if stored[name] != value:
            raise RunError(
                f"--out {path.parent}: was prepared with {name}={stored[name]}, not {value}; "
                f"give --{name} {stored[name]}, or choose another folder"
            )


def write_line(path: Path, file: BinaryIO, value: dict[str, Any]) -> None:
    """Append one line and wait until it is on the disk."""
    with storage_errors(path):
        file.write(json.dumps(value, ensure_ascii=False).encode() + b"\n")
        file.flush()
        os.fsync(file.fileno())
