"""The SQLite file of a table: its schemas, and what goes wrong in reading one."""

import errno
import re
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .files import DamagedError, access_errors

__all__ = ["SCHEMA", "TABLES", "sqlite_errors"]

SCHEMA = """
CREATE TABLE videos(number INTEGER PRIMARY KEY, video_id TEXT UNIQUE NOT NULL, content TEXT NOT NULL,
    attributes TEXT NOT NULL, first_row INTEGER NOT NULL);
CREATE TABLE slices(row INTEGER PRIMARY KEY, slice_id INTEGER UNIQUE NOT NULL, slice_no INTEGER NOT NULL,
    start_s REAL NOT NULL, end_s REAL NOT NULL, still INTEGER NOT NULL);
"""
SCHEMAS = (SCHEMA.replace(", still INTEGER NOT NULL", ""), SCHEMA)
"""That of libraries before version 4, which did not know still slices, and the present one."""
TABLES = [
    [("table", re.split(r"\W", sql)[2], sql) for sql in sorted(map(str.strip, schema.split(";"))) if sql]
    for schema in SCHEMAS
]
"""Kind, name and SQL of each table of a schema, by name."""

UNREADABLE = (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM, sqlite3.SQLITE_NOMEM, sqlite3.SQLITE_IOERR)
"""SQLite's error codes for refusals of the operating system."""


@contextmanager
def sqlite_errors(path: Path) -> Iterator[None]:
    """Turn content that SQLite cannot read into damage, and refusals of the operating system into errors.

    Args:
        path: of the file, for messages.

    Raises:
        DamagedError: its content is no such table.
        LibraryError: it cannot be read now.
    """
    with access_errors(path):
        try:
            yield
        except sqlite3.Error as error:
            if getattr(error, "sqlite_errorcode", 0) & 0xFF in UNREADABLE:
                path.open("rb").close()  # the operating system says why
                raise OSError(errno.EIO, str(error)) from error
            raise DamagedError(f"is damaged: SQLite cannot read {path.name}: {error}") from error
        except (TypeError, ValueError, OverflowError) as error:
            raise DamagedError(f"is damaged: it holds other values than a library: {error}") from error
