"""Errors of writing to the disk."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .errors import StorageError

__all__ = ["storage_errors"]


@contextmanager
def storage_errors(target: Path) -> Iterator[None]:
    """Turn an operating system's refusal to write ``target`` into a :class:`StorageError`.

    Args:
        target: the file or folder, for the message.

    Raises:
        StorageError: the block raised an OSError.
    """
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        raise StorageError(f"cannot write {target}: {reason}; free space or choose another folder") from error
