"""The table of a segment: its videos and slices, in an SQLite file that is written once, then only read."""

import json
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .attributes import Attributes
from .files import DamagedError
from .filters import Where, pairs
from .sqlite import TABLES, sqlite_errors

__all__ = ["Entry", "Slices", "Table"]

SLICE = np.dtype([("slice_id", "i8"), ("slice_no", "i4"), ("start_s", "f8"), ("end_s", "f8"), ("still", "?")])
LOOKUP = 3
"""Times longer that looking a row up takes than reading it among all; rows are looked up until that took as
long as reading the table would, which is then done, once."""

AT_ONCE = 500
"""Values that are looked up by one query; SQLite takes at least 999."""
TEXT = "',' || substr(attributes, 2, length(attributes) - 2) || ','"
"""SQL of a video's attributes with a comma before and behind each."""


class Slices(NamedTuple):
    """Columns of n slices."""

    slice_id: NDArray[np.int64]
    """(n,) stable ids."""
    slice_no: NDArray[np.int32]
    """(n,) number within the video."""
    start_s: NDArray[np.float64]
    """(n,) in seconds."""
    end_s: NDArray[np.float64]
    """(n,) in seconds."""
    still: NDArray[np.bool_]
    """(n,) whether it shows nothing."""

    def take(self, rows: NDArray[np.int64]) -> "Slices":
        """Some of the slices.

        Args:
            rows: (m,) numbers among the n.

        Returns:
            m slices in the order of ``rows``.
        """
        times = self.start_s[rows], self.end_s[rows]
        return Slices(self.slice_id[rows], self.slice_no[rows], *times, self.still[rows])


class Entry(NamedTuple):
    """A video of a table."""

    number: int
    """Its position in the table."""
    video_id: str
    content: str
    """SHA-256 of the video's content; empty in tables of version 1, which did not keep it."""
    attributes: str
    """Flat JSON."""
    first_row: int
    rows: int


ENTRY = """
SELECT number, video_id, content, attributes, first_row, coalesce(
    (SELECT next.first_row FROM videos AS next WHERE next.number = videos.number + 1),
    (SELECT max(row) + 1 FROM slices)) - first_row FROM videos
"""


class Table:
    """Reads a table.

    Args:
        connection: to a database of one of the schemas.
        path: of its file, for messages.

    Raises:
        DamagedError: it is not such a table.
        LibraryError: it cannot be read now.
    """

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        self._connection = connection
        self.path = path
        self._looked_up = 0
        self._check_schema()
        (self.videos,) = self._one("SELECT coalesce(max(number) + 1, 0) FROM videos")
        (self.rows,) = self._one("SELECT coalesce(max(row) + 1, 0) FROM slices")

    def _check_schema(self) -> None:
        """Refuse views and triggers, which may do anything, in place of a table's own."""
        query = "SELECT type, name, sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY name LIMIT 3"
        tables = self._all(query)
        if tables not in TABLES:
            raise DamagedError("is damaged: it has other tables than a library")
        still = "still" if tables == TABLES[-1] else "0"
        self._select = f"SELECT slice_id, slice_no, start_s, end_s, {still} FROM slices"

    def check_pages(self) -> None:
        """Follow all pages, those of SQLite's own indexes too, which takes as long again as :meth:`check`.

        Raises:
            DamagedError: a page is missing, or referred to twice.
        """
        ((problem,),) = self._all("PRAGMA integrity_check(1)")
        if problem != "ok":
            raise DamagedError(f"is damaged: {' '.join(problem.split())}")

    @cached_property
    def names(self) -> list[str]:
        """The videos, in order of rows."""
        return [
            name for (name,) in self._all("SELECT video_id FROM videos ORDER BY number LIMIT ?", self.videos)
        ]

    @cached_property
    def first_row(self) -> NDArray[np.int64]:
        """(videos + 1,) first row of each video, and the number of rows."""
        first_rows = self._all("SELECT first_row FROM videos ORDER BY number LIMIT ?", self.videos)
        with sqlite_errors(self.path):
            return np.array([row for (row,) in first_rows] + [self.rows], np.int64)

    @cached_property
    def video_no(self) -> NDArray[np.int32]:
        """(rows,) number of each row's video."""
        return np.repeat(np.arange(self.videos, dtype=np.int32), np.diff(self.first_row))

    @cached_property
    def slices(self) -> NDArray[np.void]:
        """(rows,) all slices, as records of ``SLICE``."""
        with sqlite_errors(self.path):
            return np.fromiter(self._connection.execute(f"{self._select} ORDER BY row"), SLICE, self.rows)

    def warm(self) -> None:
        """Read all that is kept once it was read."""
        _ = self.slices, self.video_no, self.names

    def span(self, first_row: int, rows: int) -> NDArray[np.void]:
        """Neighbouring slices, as records of ``SLICE``, read from the file.

        Args:
            first_row: the first of them.
            rows: how many.

        Returns:
            (``rows``,) slices.
        """
        query = f"{self._select} WHERE row >= ? AND row < ? ORDER BY row"
        with sqlite_errors(self.path):
            return np.fromiter(self._connection.execute(query, (first_row, first_row + rows)), SLICE, rows)

    def columns(self, rows: NDArray[np.int64]) -> Slices:
        """Ids, numbers and times of slices, and whether they show nothing.

        Args:
            rows: (n,) row numbers.

        Returns:
            n slices in the order of ``rows``.
        """
        self._looked_up += len(rows)
        if "slices" in self.__dict__ or self._looked_up * LOOKUP > self.rows:
            records = self.slices[rows]
        else:
            wanted = np.unique(rows)
            found = np.array(self._in(self._select, "row", wanted.tolist()), SLICE)
            records = found[np.searchsorted(wanted, rows)]
        return Slices(*(records[name] for name in SLICE.names or ()))

    def find(self, video_ids: Iterable[str]) -> dict[str, Entry]:
        """The entries of videos that have rows here.

        Args:
            video_ids: videos, held or not.

        Returns:
            By video; others are left out.
        """
        names = [*dict.fromkeys(video_ids)]
        found = {row[1]: Entry(*row) for row in self._in(ENTRY, "video_id", names)}
        return {name: found[name] for name in names if name in found}

    def entries(self, first: int = 0, count: int | None = None) -> Iterator[Entry]:
        """Videos, in order of rows.

        Args:
            first: number of the first of them.
            count: how many; None: all.
        """
        end = self.videos if count is None else first + count
        with sqlite_errors(self.path):
            query = f"{ENTRY} WHERE number >= ? AND number < ? ORDER BY number"
            for row in self._connection.execute(query, (first, end)):
                yield Entry(*row)

    def first_slice_ids(self) -> NDArray[np.int64]:
        """(videos,) the id of each video's first slice."""
        query = "SELECT slice_id FROM videos JOIN slices ON row = first_row ORDER BY number"
        with sqlite_errors(self.path):
            ids = (number for (number,) in self._connection.execute(query))
            return np.fromiter(ids, np.int64, self.videos)

    def names_in_order(self) -> Iterator[str]:
        """The videos by name, read from the file."""
        with sqlite_errors(self.path):
            for (name,) in self._connection.execute("SELECT video_id FROM videos ORDER BY video_id"):
                yield name

    def row_of(self, slice_id: int) -> int | None:
        """The row of a slice; None if the table does not have it.

        Args:
            slice_id: its stable id.
        """
        rows = self._all("SELECT row FROM slices WHERE slice_id = ?", slice_id)
        return int(rows[0][0]) if rows else None

    def having(self, where: Where) -> NDArray[np.bool_]:
        """Videos whose stored attributes pass a filter; its names and times are not looked at.

        Args:
            where: the filter.

        Returns:
            (videos,) mask.
        """
        if not where.attributes and not where.conditions:
            return np.ones(self.videos, np.bool_)
        mask = np.zeros(self.videos, np.bool_)
        tests, values = ["1"], []
        for held, spellings in pairs(where):
            tests.append(
                ("" if held else "NOT ") + f"({' OR '.join([f'instr({TEXT}, ?)'] * len(spellings))})"
            )
            values += spellings
        rows = self._all(f"SELECT number FROM videos WHERE {' AND '.join(tests)}", *values)
        mask[[number for (number,) in rows]] = True
        for condition in where.conditions:
            if condition.operator != "!=":
                passing = [
                    number
                    for number, _, attributes in self.with_attribute(condition.name)
                    if condition.takes(attributes)
                ]
                mask &= np.isin(np.arange(self.videos), passing)
        return mask

    def with_attribute(self, name: str) -> Iterator[tuple[int, str, Attributes]]:
        """Videos that have an attribute as it is stored, with their numbers and all attributes.

        Args:
            name: of the attribute.
        """
        query = f"SELECT number, video_id, attributes FROM videos WHERE instr({TEXT}, ?)"
        with sqlite_errors(self.path):
            for number, video_id, attributes in self._connection.execute(query, [f",{json.dumps(name)}:"]):
                yield number, video_id, json.loads(attributes)

    def _all(self, query: str, *values: Any) -> list[Any]:
        """All rows of a query."""
        with sqlite_errors(self.path):
            return self._connection.execute(query, values).fetchall()

    def _in(self, query: str, column: str, values: Sequence[Any]) -> list[Any]:
        """The rows of a query in which a column has one of some values, in order of the column."""
        found, rising = [], sorted(values)
        for first in range(0, len(rising), AT_ONCE):
            some = rising[first : first + AT_ONCE]
            marks = ", ".join("?" * len(some))
            found += self._all(f"{query} WHERE {column} IN ({marks}) ORDER BY {column}", *some)
        return found

    def _one(self, query: str, *values: Any) -> Any:
        """The first row of a query; None where it has none."""
        with sqlite_errors(self.path):
            return self._connection.execute(query, values).fetchone()
