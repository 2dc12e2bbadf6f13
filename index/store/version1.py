"""Segments as version 1 of the library wrote them: a Parquet table beside the vectors, rows in any order."""

from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from sora_video.base.files import read_parquet

from .files import DamagedError, access_errors
from .table import Slices, Table
from .table_check import check_table
from .table_writer import TableWriter

__all__ = ["SUFFIX", "open_table"]

SUFFIX = ".parquet"
"""Of tables of version 1."""


def open_table(path: Path) -> tuple[Table, NDArray[np.int64]]:
    """Load a table into memory, in the present format.

    Args:
        path: verified.

    Returns:
        The table, its rows grouped by video, and (rows,) the row in the file of each of them.

    Raises:
        DamagedError: it is not such a table.
        LibraryError: it cannot be read now.
    """
    with access_errors(path):
        try:
            columns = read_parquet(path)
            names = columns["video_id"].to_pylist()
            known = {name: columns[name].to_numpy() for name in Slices._fields if name != "still"}
            slices = Slices(**known, still=np.zeros(len(columns), np.bool_))
        except (pa.ArrowException, OSError, KeyError) as error:
            if isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno):
                raise
            raise DamagedError(f"is damaged: Arrow cannot read it: {error}") from error
    rows_of: dict[str, list[int]] = {}
    for row, name in enumerate(names):
        rows_of.setdefault(name, []).append(row)
    order = np.array([row for rows in rows_of.values() for row in rows], np.int64)
    writer = TableWriter()
    for name, rows in rows_of.items():
        writer.add(name, "", {}, len(rows))
    writer.add_slices(slices.take(order), 0)
    table = writer.table(path)
    check_table(table)
    return table, order
