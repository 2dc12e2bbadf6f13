"""The place of a new library: it appears there whole or not at all."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sora_video.base.errors import LibraryError
from sora_video.base.files import storage_errors

__all__ = ["appearing", "check_free"]


def check_free(path: Path) -> None:
    """Refuse a place where a new library would mix with what is there.

    Raises:
        LibraryError: it is a file, or a folder that is not empty.
    """
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise LibraryError(f"library {path}: exists already; add to it, or choose another folder")


@contextmanager
def appearing(path: Path) -> Iterator[Path]:
    """Give a folder beside ``path``, which is absolute, to make a library in; it becomes ``path`` in the end.

    Raises:
        LibraryError: see :func:`check_free`.
        StorageError: the disk refused the move.
    """
    check_free(path)
    beside = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        yield beside
        with storage_errors(path):
            beside.replace(path)
    finally:
        shutil.rmtree(beside, ignore_errors=True)
