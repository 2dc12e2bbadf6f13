"""Writes the table of a segment."""

import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .filters import Attributes, to_json
from .sqlite import SCHEMA
from .table import Slices, Table

__all__ = ["TableWriter"]


class TableWriter:
    """Collects a table, video by video."""

    def __init__(self) -> None:
        self._connection = sqlite3.connect(":memory:", check_same_thread=False)
        self._connection.executescript(SCHEMA)
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

    def to_bytes(self) -> bytes:
        """The database file."""
        self._connection.commit()
        return self._connection.serialize()

    def table(self, path: Path) -> Table:
        """The collected table, to read from memory.

        Args:
            path: of the file that it was collected from, for messages.
        """
        self._connection.commit()
        return Table(self._connection, path)
