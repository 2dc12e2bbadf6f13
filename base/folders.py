"""Folders that appear whole or not at all."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .errors import ConfigError
from .storage import storage_errors
from .unfinished import sweep, unfinished_folder

__all__ = ["check_new", "new_folder"]


def check_new(name: str, folder: Path) -> Path:
    """Refuse a place that holds something, before any work is done.

    Args:
        name: of the option that names it.
        folder: what is to be made.

    Returns:
        Its absolute path.

    Raises:
        ConfigError: it is a file, or a folder that is not empty.
    """
    folder = folder.expanduser().absolute()
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ConfigError(f"{name} {folder}: exists already; choose another folder")
    return folder


@contextmanager
def new_folder(folder: Path) -> Iterator[Path]:
    """Give an empty folder beside the one that it becomes when the block ends without an error.

    Args:
        folder: missing or empty, see :func:`check_new`.

    Raises:
        StorageError: the disk refused a write.
    """
    with storage_errors(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
        sweep(folder.parent, folder.name)
        with unfinished_folder(folder) as beside:
            yield beside
            if folder.exists():
                folder.rmdir()
            beside.rename(folder)
