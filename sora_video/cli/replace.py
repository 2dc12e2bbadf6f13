"""One rule for every command: what it did not make in this very job is replaced only by ``--force``.

Folders are replaced as a whole, and only those that this kind of command made; files one by one, and not
those within a library, a run or the like.
"""

import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from secrets import token_hex
from typing import Annotated

import typer

from sora_video.base.errors import ConfigError
from sora_video.base.kinds import kind_of

__all__ = ["ForceOption", "check_files", "check_files_in", "replacing"]

RESULTS = "a folder of predictions", "a folder with a report", "a folder with a summary"
"""Kinds of folders that take the files of several commands."""

ForceOption = Annotated[bool, typer.Option("--force", help="Replace what is there already.")]


def check_files(name: str, files: Iterable[Path], *, force: bool) -> None:
    """Refuse to write files that exist, before any work is done.

    Args:
        name: of the option or argument that names them.
        files: those that the command will write.
        force: whether to replace files; a folder is never replaced by a file.

    Raises:
        ConfigError: one is there.
    """
    for file in (path.expanduser() for path in files):
        if file.is_dir():
            raise refusal(name, file, "which --force does not replace by a file; choose another name")
        if (file.exists() or file.is_symlink()) and not force:
            raise refusal(name, file, "give --force to replace it, or choose another name")
        check_writable(name, file)


def check_writable(name: str, path: Path) -> None:
    """Refuse a place that may not be written, before any work is done.

    Args:
        name: of the option or argument that names it.
        path: of a file or folder to be written.

    Raises:
        ConfigError: the folder, or the nearest one above it that exists, may not be written.
    """
    folder = next(place for place in (path.absolute(), *path.absolute().parents) if place.is_dir())
    if not os.access(folder, os.W_OK | os.X_OK):
        raise ConfigError(
            f"{name} {path}: {folder} may not be written; make it writable or choose another folder"
        )


def check_files_in(name: str, folder: Path, files: Iterable[str] = (), *, force: bool = False) -> None:
    """Refuse to write files that exist, or any into a folder that is a whole, such as a library.

    Args:
        name: of the option that names the folder.
        folder: that gets the files.
        files: names of those that the command will write, or replace with ``force``.
        force: whether to replace files.

    Raises:
        ConfigError: one is there, or the folder is such a whole.
    """
    kind = kind_of(folder.expanduser())
    if kind is not None and kind not in RESULTS and folder.expanduser().is_dir():
        raise refusal(name, folder, "to which no other files are added; choose another folder")
    check_files(name, (folder / file for file in files), force=force)


@contextmanager
def replacing(
    name: str, folder: Path, *kinds: str, unfinished: str | None = None, force: bool
) -> Iterator[None]:
    """Make room for a new folder; the old one goes for good only when a new one of its kind is there.

    Args:
        name: of the option or argument that names the folder.
        folder: to be written by the block.
        kinds: what may be replaced, see :func:`sora_video.base.kinds.kind_of`.
        unfinished: what may be replaced too, but nothing is given up for one.
        force: whether to replace it.

    Raises:
        ConfigError: something is there.
    """
    folder = folder.expanduser().absolute()
    taken = is_taken(folder)
    if not taken:
        check_writable(name, folder)
    with moved_aside(name, folder, kinds, unfinished, force) if taken else nullcontext():
        yield


@contextmanager
def moved_aside(
    name: str, folder: Path, kinds: tuple[str, ...], unfinished: str | None, force: bool
) -> Iterator[None]:
    """Move a folder aside; afterwards delete it, or put it back where nothing of its kind took its place."""
    if folder.is_symlink() or kind_of(folder) not in {*kinds, unfinished} - {None}:
        raise refusal(name, folder, "which --force does not replace; choose another folder")
    if not force:
        raise refusal(name, folder, "give --force to replace it, or choose another folder")
    check_writable(name, folder.parent)
    aside = folder.with_name(f".{folder.name[:40]}.{token_hex(8)}.replaced")
    folder.rename(aside)
    try:
        yield
    finally:
        if kind_of(folder) in kinds:
            shutil.rmtree(aside, ignore_errors=True)
        else:
            shutil.rmtree(folder, ignore_errors=True)
            aside.rename(folder)


def is_taken(folder: Path) -> bool:
    """Whether anything but an empty folder is there."""
    return folder.is_symlink() or (folder.exists() and (not folder.is_dir() or any(folder.iterdir())))


def refusal(name: str, path: Path, remedy: str) -> ConfigError:
    """The error that says what is there."""
    unknown = "a link" if path.is_symlink() else "a folder with other files" if path.is_dir() else "a file"
    kind = kind_of(path.expanduser()) or unknown
    return ConfigError(f"{name} {path}: exists already, {kind}; {remedy}")
