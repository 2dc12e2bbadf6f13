"""Unfinished files and folders: beside their target, hidden, with a random name, locked while written.

    .NAME.RANDOM.partial.SUFFIX     NAME is the start of the target's

A process that is killed leaves them behind without their lock, by which :func:`sweep` tells them from others.
"""

import os
import re
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from .locks import lock

__all__ = ["sweep", "unfinished_file", "unfinished_folder"]

KEPT_CHARACTERS = 40
"""Characters of the target's name that are kept, so that no name is too long for the disk."""
LEFTOVER = re.compile(r"\.(?P<name>.*)\.\w+\.partial(\.[^.]*)?", re.DOTALL)
"""Also those of earlier versions, whose random part is the process's number."""


def beside(target: Path, stem: str, suffix: str) -> Path:
    """A new path beside a target, which cannot be guessed."""
    return target.with_name(f".{stem[:KEPT_CHARACTERS]}.{secrets.token_hex(8)}.partial{suffix}")


@contextmanager
def unfinished_file(target: Path) -> Iterator[Path]:
    """Give an empty, locked file beside ``target`` to write to; deleted in the end unless it was renamed.

    Args:
        target: what it is to become; its folder exists.

    Yields:
        The file's path, with the suffix of ``target``. Nothing that was there before is used or followed.

    Raises:
        OSError: the file cannot be made.
    """
    while True:
        path = beside(target, target.stem, target.suffix)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)
        hold(descriptor)
        if os.fstat(descriptor).st_nlink:
            break
        os.close(descriptor)  # swept between its making and its locking
    try:
        yield path
    finally:
        with suppress(OSError):
            path.unlink()
        os.close(descriptor)


@contextmanager
def unfinished_folder(target: Path) -> Iterator[Path]:
    """Give an empty, locked folder beside ``target``; deleted in the end unless it was renamed.

    Args:
        target: what it is to become; its folder exists.

    Raises:
        OSError: the folder cannot be made.
    """
    path = beside(target, target.name, "")
    path.mkdir()
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        hold(descriptor)
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)
        os.close(descriptor)


def hold(descriptor: int) -> None:
    """Lock what is being written; where a file system has no locks, nothing is ever swept either."""
    with suppress(OSError):
        lock(descriptor)


def sweep(folder: Path, target: str | None = None) -> None:
    """Delete what killed processes left unfinished in a folder, and only that.

    Args:
        folder: where to look; the folders in it are left alone. One that is missing holds nothing.
        target: only what was to become the file or folder of this name; None: all.
    """
    with suppress(OSError):
        for entry in list(os.scandir(folder)):
            name = LEFTOVER.fullmatch(entry.name)
            if name and (target is None or name["name"] in start_of(target)):
                sweep_one(Path(entry.path), entry.is_dir(follow_symlinks=False))


def start_of(target: str) -> tuple[str, str]:
    """How the names of unfinished files, and of folders, of a target start."""
    return Path(target).stem[:KEPT_CHARACTERS], target[:KEPT_CHARACTERS]


def sweep_one(path: Path, is_folder: bool) -> None:
    """Delete one file or folder unless a process holds it, or it may not be opened."""
    access = os.O_RDONLY | os.O_DIRECTORY if is_folder else os.O_RDWR
    with suppress(OSError):
        descriptor = os.open(path, access | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            if lock(descriptor, wait=False):
                shutil.rmtree(path, ignore_errors=True) if is_folder else path.unlink()
        finally:
            os.close(descriptor)
