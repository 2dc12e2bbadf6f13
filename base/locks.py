"""Locks between processes; each ends with the process that holds it."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .storage import storage_errors

__all__ = ["lock", "locked"]


def lock(descriptor: int, *, wait: bool = True) -> bool:
    """Lock an open file against other processes until it is closed.

    Args:
        descriptor: the open file, or folder.
        wait: whether to wait while another process holds it.

    Returns:
        Whether it is locked now; False only without ``wait``.

    Raises:
        OSError: the file system has no locks.
    """
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a lock file, which is made where it is missing; waits for another process to let go of it.

    Args:
        path: the lock file; its folder exists. It stays empty, and a link is refused.

    Raises:
        StorageError: the file cannot be made or locked.
    """
    with storage_errors(path):
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)
    try:
        with storage_errors(path):
            lock(descriptor)
        yield
    finally:
        os.close(descriptor)
