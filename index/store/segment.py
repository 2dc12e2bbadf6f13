"""One immutable segment of a library: vectors as a FAISS index, and the table of their videos and slices."""

import copy
from collections.abc import Callable, Iterable, Mapping, Set
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from sora_video.base.errors import LibraryError

from . import version1
from .attributes import Attributes
from .files import Checks, Damage, DamagedError, StoredFile
from .filters import Where
from .kinds import IndexKind, make_kind, stored_kind
from .manifest import BuiltIndex, SegmentRecord
from .table import Entry, Slices, Table
from .table_opening import open_table
from .vectors import open_index, open_vectors

__all__ = ["Segment"]

Opened = TypeVar("Opened")


class Segment:
    """The files of a segment, verified and opened; they stay readable when they are deleted.

    Rows of a video lie together; ``slice_id`` rises with the rows of a video.

    Args:
        checks: of the library.
        record: the segment in its manifest.
        dim: of the library's vectors.
    """

    damage: tuple[Damage, ...] = ()
    """The files that cannot be read."""
    vectors: Any
    """FAISS index over all rows, exact, mapped into memory; None where it is damaged."""
    index: Any
    """FAISS index to search: the approximate one where one was built and is whole, else :attr:`vectors`."""
    kind: IndexKind
    """Of :attr:`index`."""
    first_id: int = 0
    """What is added to the ids of its slices, where it is searched with segments of other libraries."""
    root: str | None = None
    """Folder of its videos that remember none of their own, in that case."""

    def __init__(self, checks: Checks, record: SegmentRecord, dim: int) -> None:
        self.record = record
        self._checks = checks
        opened = self._open(record.slices, self._open_table)
        self._table: Table | None = opened[0] if opened else None
        order = opened[1] if opened else None
        self.vectors = self._open(record.vectors, lambda path: open_vectors(path, record.rows, dim, order))
        self.index, self.kind = self.vectors, make_kind()
        if record.index and record.index.file and self.vectors is not None:
            self._open_built(record.index, record.index.file)

    def _open_built(self, built: BuiltIndex, file: StoredFile) -> None:
        """Search by the approximate index, where its files are whole."""
        kind = stored_kind(self.record.name, built)
        lists = None if built.lists is None else self._open(built.lists, lambda path: path)
        if built.lists is None or lists is not None:
            index = self._open(file, lambda path: open_index(path, kind, self.vectors, lists is not None))
            if index is not None:
                self.index, self.kind = index, kind

    def _open(self, file: StoredFile, read: Callable[[Path], Opened]) -> Opened | None:
        """Verify and read one file; None, and damage, where that fails."""
        try:
            return read(self._checks.path(file))
        except DamagedError as error:
            self._checks.forget(file)
            self.damage += (Damage(self.record.name, file.name, str(error)),)
            return None

    def _open_table(self, path: Path) -> tuple[Table, NDArray[np.int64] | None]:
        """The table of either version, and the order in which it takes the vectors' rows."""
        if path.suffix == version1.SUFFIX:
            table, order = version1.open_table(path)
        else:
            new = self.record.slices.name in self._checks.read
            table, order = open_table(path, new=new), None
        if table.rows != self.record.rows:
            raise DamagedError(f"is damaged: {table.rows} rows, expected {self.record.rows}")
        return table, None if order is None or (order[1:] > order[:-1]).all() else order

    @property
    def searchable(self) -> bool:
        """Whether its table and vectors are as they were written."""
        return self._table is not None and self.vectors is not None

    @property
    def table(self) -> Table:
        """Its videos and slices.

        Raises:
            LibraryError: the file is missing or damaged.
        """
        if self._table is None:
            raise LibraryError(f"{self.damage[0]}; see `sora index repair`")
        return self._table

    @property
    def videos(self) -> list[str]:
        """The videos that have rows, in order of rows."""
        return self.table.names

    def find(self, video_ids: Iterable[str]) -> dict[str, Entry]:
        """The entries of videos that are visible here.

        Args:
            video_ids: videos, held or not.

        Returns:
            By video; others are left out.

        Raises:
            LibraryError: the table is missing or damaged.
        """
        removed = self.record.removed
        return {name: entry for name, entry in self.table.find(video_ids).items() if name not in removed}

    def visible_videos(self) -> list[str]:
        """The videos that are not hidden, in order of rows; none where the table is damaged."""
        if self._table is None:
            return []
        return [name for name in self.videos if name not in self.record.removed]

    @property
    def first_row(self) -> NDArray[np.int64]:
        """(videos + 1,) first row of each video, and the number of rows."""
        return self.table.first_row

    def read(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """Stored vectors.

        Args:
            rows: (n,) row numbers.

        Returns:
            (n, D) in the order of ``rows``.
        """
        vectors: NDArray[np.float32] = self.vectors.reconstruct_batch(np.ascontiguousarray(rows, np.int64))
        return vectors

    def columns(self, rows: NDArray[np.int64]) -> Slices:
        """Ids, numbers and times of slices.

        Args:
            rows: (n,) row numbers.

        Returns:
            n slices in the order of ``rows``.
        """
        columns = self.table.columns(rows)
        return columns._replace(slice_id=columns.slice_id + self.first_id)

    def row_of(self, slice_id: int) -> int | None:
        """The row of a slice; None if the segment does not have it.

        Args:
            slice_id: as :meth:`columns` gives it.
        """
        return self.table.row_of(slice_id - self.first_id)

    def video_of(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """The video of each row.

        Args:
            rows: (n,) row numbers.

        Returns:
            (n,) positions in :attr:`videos`.
        """
        return self.table.video_no[rows].astype(np.int64)

    def visible(self, hidden: Set[str]) -> NDArray[np.bool_]:
        """Which rows are visible.

        Args:
            hidden: videos to hide, besides those that were removed.

        Returns:
            (rows,) mask.
        """
        return self._shown & self._without(hidden - self.record.removed.keys())

    @cached_property
    def _shown(self) -> NDArray[np.bool_]:
        """(rows,) rows of all videos but those that were removed."""
        return self._without(self.record.removed.keys())

    def _without(self, videos: Set[str]) -> NDArray[np.bool_]:
        """(rows,) rows of all other videos."""
        mask = np.ones(self.record.rows, np.bool_)
        for entry in self.table.find(videos).values():
            mask[entry.first_row : entry.first_row + entry.rows] = False
        return mask

    def shown_rows(self, numbers: NDArray[np.int64]) -> NDArray[np.int64]:
        """Rows that are not hidden, by their numbers among these; no mask of all rows is made.

        Args:
            numbers: (n,) from 0, below ``record.visible``.

        Returns:
            (n,) row numbers.
        """
        hidden = sorted((e.first_row, e.rows) for e in self.table.find(self.record.removed).values())
        before = np.cumsum([0] + [rows for _, rows in hidden], dtype=np.int64)
        shown = np.array([first for first, _ in hidden], np.int64) - before[:-1]
        rows: NDArray[np.int64] = numbers + before[np.searchsorted(shown, numbers, side="right")]
        return rows

    def under(self, record: SegmentRecord) -> "Segment":
        """The same files under another record.

        Args:
            record: of the same files; it may hide more videos.
        """
        same = copy.copy(self)
        same.record = record
        same.__dict__.pop("_shown", None)
        return same

    def among_others(self, first_id: int, root: str | None) -> "Segment":
        """The same files, to be searched with segments of other libraries.

        Args:
            first_id: see :attr:`first_id`.
            root: see :attr:`root`.
        """
        same = copy.copy(self)
        same.first_id, same.root = first_id, root
        return same

    def matching(self, where: Where, edited: Mapping[str, Attributes]) -> NDArray[np.bool_]:
        """(rows,) rows that a filter lets through, hidden ones among them.

        Args:
            where: the filter.
            edited: attributes that hold in place of the stored ones, by video.
        """
        videos = self.table.having(where)
        for entry in self.table.find(edited).values():
            videos[entry.number] = where.takes(edited[entry.video_id])
        if where.videos is not None:
            videos &= np.fromiter(map(where.names, self.videos), np.bool_, len(videos))
        mask: NDArray[np.bool_] = np.repeat(videos, np.diff(self.first_row))
        if where.start_s > -np.inf or where.end_s < np.inf:
            slices = self.table.slices
            mask &= where.within(slices["start_s"], slices["end_s"])
        return mask
