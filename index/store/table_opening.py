"""Opens tables: small ones in memory, large ones as files that stay open."""

import resource
import sqlite3
from contextlib import closing
from pathlib import Path
from weakref import WeakSet

from .sqlite import sqlite_errors
from .table import Table
from .table_check import check_table

__all__ = ["open_table"]

IN_MEMORY_BYTES = 1 << 20
"""Tables up to this size are read into memory, so that they keep no file open."""
FILES_SHARE = 4
"""Tables keep one in so many of the files open that a process may; further ones are read into memory."""
ON_DISK: "WeakSet[Table]" = WeakSet()
"""Those that keep a file open."""


def open_table(path: Path, *, new: bool = True) -> Table:
    """Open a file that was verified; it stays readable when it is deleted.

    Args:
        path: the SQLite file; small ones are read into memory, and checked each time.
        new: check a large one, which takes 2 s for a million slices.

    Raises:
        DamagedError: it is not such a table.
        LibraryError: it cannot be read now.
    """
    with sqlite_errors(path):
        if path.stat().st_size <= IN_MEMORY_BYTES or len(ON_DISK) >= most_files():
            connection = sqlite3.connect(":memory:", check_same_thread=False)
            connection.deserialize(path.read_bytes())
            table = Table(connection, path)
            check_table(table)
            return table
        address = f"{path.absolute().as_uri()}?mode=ro&immutable=1"
        table = Table(sqlite3.connect(address, uri=True, check_same_thread=False), path)
        if new:
            with closing(sqlite3.connect(address, uri=True)) as connection:
                check_table(Table(connection, path))  # with columns of its own, which are let go
    ON_DISK.add(table)
    return table


def most_files() -> int:
    """How many tables may keep a file open."""
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0] // FILES_SHARE
