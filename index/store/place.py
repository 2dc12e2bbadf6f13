"""The place of a new library: it appears there whole or not at all."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from sora_video.base.errors import LibraryError
from sora_video.base.storage import storage_errors
from sora_video.base.unfinished import sweep, unfinished_folder

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
    """Give an empty folder to make a library in; it becomes ``path``, which is absolute, in the end.

    Raises:
        LibraryError: see :func:`check_free`.
        StorageError: the disk refused the move.
    """
    check_free(path)
    with ExitStack() as stack:
        with storage_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            sweep(path.parent, path.name)
            beside = stack.enter_context(unfinished_folder(path))
        yield beside
        with storage_errors(path):
            beside.replace(path)
