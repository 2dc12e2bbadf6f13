"""The table that a scan writes, and that other commands read to leave out what cannot be read."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from sora_video.base.errors import CorpusError
from sora_video.base.files import atomic_path, read_parquet
from sora_video.base.kinds import not_there

__all__ = ["COLUMNS", "Row", "absolute", "read_table", "unreadable_in", "write_table"]

SCHEMA = pa.schema(
    [
        ("video_id", pa.string()),
        ("path", pa.string()),
        ("bytes", pa.int64()),
        ("mtime_ns", pa.int64()),
        ("reason", pa.string()),
        ("codec", pa.string()),
        ("width", pa.int32()),
        ("height", pa.int32()),
        ("fps", pa.float64()),
        ("duration_s", pa.float64()),
        ("has_audio", pa.bool_()),
    ]
)
COLUMNS = SCHEMA.names
Row = dict[str, Any]


def absolute(path: Path) -> str:
    """A path as text, also where its bytes are not UTF-8.

    Args:
        path: relative or absolute.
    """
    return str(path.absolute()).encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def read_table(table: Path) -> list[Row]:
    """The rows that :func:`scan` wrote.

    Args:
        table: a Parquet file.

    Raises:
        CorpusError: the file cannot be read, or is not a table of a scan.
    """
    try:
        rows = read_parquet(table)
    except (OSError, pa.ArrowException) as error:
        reason = not_there(table, "a table of `sora scan`", f"cannot be read: {error}")
        raise CorpusError(f"{table}: {reason}; make it with `sora scan --out`") from error
    if rows.schema.names != SCHEMA.names:
        reason = not_there(table, "a table of `sora scan`", "is no table of `sora scan`")
        raise CorpusError(f"{table}: {reason}; name another file")
    listed: list[Row] = rows.to_pylist()
    return listed


def write_table(table: Path, rows: Iterable[Row]) -> None:
    """Write rows as Parquet, atomically.

    Args:
        table: the file; it is replaced if it exists.
        rows: one for each video, with the columns of ``COLUMNS``.

    Raises:
        StorageError: the disk refused the write.
    """
    with atomic_path(table) as beside:
        pq.write_table(pa.Table.from_pylist(list(rows), SCHEMA), beside)


def unreadable_in(table: Path) -> set[str]:
    """The files that a scan found unreadable, as absolute paths.

    Args:
        table: a Parquet file.

    Raises:
        CorpusError: the file cannot be read, or is not a table of a scan.
    """
    return {row["path"] for row in read_table(table) if row["reason"] is not None}
