"""The folder of a new library, which appears whole or not at all."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from sora_video.base.errors import LibraryError
from sora_video.base.storage import storage_errors
from sora_video.base.unfinished import sweep, unfinished_folder

__all__ = ["FRAMES", "appearing", "check_free"]

FRAMES = "frames"
"""Folder in a library where its videos' frames are indexed, see
:class:`sora_video.pretrain.video.kept.IndexStore`; no manifest names it, and it can go without loss."""


def check_free(path: Path) -> None:
    """Refuse a folder in which a new library would mix with other files.

    Args:
        path: where the library is to be.

    Raises:
        LibraryError: it is a file, or a folder that is not empty.
    """
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise LibraryError(f"library {path}: exists already; add to it, or choose another folder")


@contextmanager
def appearing(path: Path) -> Iterator[Path]:
    """Make a library in an empty folder that is renamed to its path if the block succeeds.

    Args:
        path: the library's folder, absolute; missing or empty.

    Yields:
        The empty folder to write to.

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
