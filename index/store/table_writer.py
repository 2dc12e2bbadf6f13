"""Writes the table of a segment."""

import errno
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from sora_video.base.files import atomic_path

from .attributes import Attributes, to_json
from .sqlite import SCHEMA
from .table import Slices, Table

__all__ = ["TableWriter", "writing_table"]

UNSAFE = "PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF;"
"""A file that is not finished is never read, and flushed before it is renamed."""


class TableWriter:
    """Collects a table, video by video; little of it is in memory where it has a file.

    Args:
        path: of the file, empty; None: the table is collected in memory.
    """

    def __init__(self, path: Path | None = None) -> None:
        # no other process knows the file, and some network file systems take its lock of another kind for one
        address = ":memory:" if path is None else f"{path.absolute().as_uri()}?nolock=1"
        self._connection = sqlite3.connect(address, uri=path is not None, check_same_thread=False)
        self._connection.executescript(UNSAFE + SCHEMA)
        self.videos = self.rows = 0

    def add(self, video_id: str, content: str, attributes: Attributes, rows: int) -> None:
        """Append a video, whose rows come next.

        Args:
            video_id: its name.
            content: SHA-256 of its content.
            attributes: of the video.
            rows: how many slices it has.

        Raises:
            sqlite3.IntegrityError: the table has this video already.
        """
        values = (self.videos, video_id, content, to_json(attributes), self.rows)
        self._connection.execute("INSERT INTO videos VALUES (?, ?, ?, ?, ?)", values)
        self.videos += 1
        self.rows += rows

    def add_slices(self, slices: Slices, first_row: int) -> None:
        """Append the rows of one or more videos.

        Args:
            slices: in the order of their videos.
            first_row: row of the first of them.

        Raises:
            sqlite3.IntegrityError: the table has one of the slices already.
        """
        columns: Sequence[Any] = [column.tolist() for column in slices]
        rows = range(first_row, first_row + len(slices.slice_id))
        self._connection.executemany(
            "INSERT INTO slices VALUES (?, ?, ?, ?, ?, ?)", zip(rows, *columns, strict=True)
        )

    def close(self) -> None:
        """Write what is still in memory to the file."""
        with closing(self._connection):
            self._connection.commit()

    def table(self, path: Path) -> Table:
        """The collected table, to read from memory.

        Args:
            path: of the file that it was collected from, for messages.
        """
        self._connection.commit()
        return Table(self._connection, path)


@contextmanager
def writing_table(path: Path) -> Iterator[TableWriter]:
    """Write a table to a file, which appears only if the block succeeds.

    Args:
        path: the file.

    Raises:
        StorageError: the disk refused the write.
    """
    with atomic_path(path) as beside:
        try:
            with closing(TableWriter(beside)) as writer:
                yield writer
        except sqlite3.OperationalError as error:  # the disk is full, or fails
            raise OSError(errno.EIO, str(error)) from error
