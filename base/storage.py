"""Errors of writing to the disk."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .errors import StorageError

__all__ = ["storage_errors"]

FORBIDDEN = (errno.EACCES, errno.EPERM, errno.EROFS)


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
        remedy = "make it writable" if error.errno in FORBIDDEN else "free space"
        raise StorageError(f"cannot write {target}: {reason}; {remedy} or choose another folder") from error
