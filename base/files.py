"""Files that are whole or absent: write beside, flush, fsync, rename."""

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from .storage import storage_errors
from .unfinished import unfinished_file

__all__ = [
    "atomic_path",
    "read_lines",
    "read_parquet",
    "write_bytes",
    "write_json",
    "write_text",
]


@contextmanager
def atomic_path(target: Path) -> Iterator[Path]:
    """Give a path beside ``target`` to write to; it becomes ``target`` only if the block succeeds.

    Args:
        target: the final path; its folder is made when missing.

    Yields:
        The path of an empty file to write to, with the same suffix as ``target``.

    Raises:
        StorageError: the disk refused the write. ``target`` is as it was before.
    """
    with storage_errors(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        with unfinished_file(target) as beside:
            yield beside
            sync(beside)
            beside.replace(target)
            sync(target.parent)


def sync(path: Path) -> None:
    """Flush one file or folder to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_bytes(target: Path, data: bytes | memoryview) -> None:
    """Write bytes to a file atomically.

    Args:
        target: the file; it is replaced if it exists, and its folder is made when missing.
        data: the whole content.

    Raises:
        StorageError: the disk refused the write. ``target`` is as it was before.
    """
    with atomic_path(target) as path:
        path.write_bytes(data)


def write_text(target: Path, text: str) -> None:
    """Write a text to a file atomically, as UTF-8.

    Args:
        target: the file; it is replaced if it exists, and its folder is made when missing.
        text: the whole content.

    Raises:
        StorageError: the disk refused the write. ``target`` is as it was before.
    """
    write_bytes(target, text.encode())


def write_json(target: Path, value: Any, default: Callable[[Any], Any] | None = None) -> None:
    """Write a value to a file atomically, as indented JSON.

    Args:
        target: the file; it is replaced if it exists, and its folder is made when missing.
        value: what ``json.dumps`` takes.
        default: turns other objects into such values, see ``json.dumps``.

    Raises:
        StorageError: the disk refused the write. ``target`` is as it was before.
        TypeError: JSON cannot represent the value.
    """
    write_text(target, json.dumps(value, indent=2, ensure_ascii=False, default=default) + "\n")


def read_parquet(source: Path | BinaryIO) -> pa.Table:
    """Read a Parquet table in the calling thread.

    Arrow's own threads, those that read ahead among them, can outlive the call; one that still holds a Python
    object when the interpreter ends aborts the process.

    Args:
        source: a file, or an open binary stream.

    Raises:
        OSError: the file cannot be read.
        pyarrow.ArrowException: it is not a Parquet file.
    """
    with pq.ParquetFile(source, pre_buffer=False) as file:
        return file.read(use_threads=False)


def read_lines(path: Path) -> list[str]:
    """Read the complete lines of a log; a last line without a newline, cut off by a kill, is left out.

    Args:
        path: a UTF-8 file; it may be missing.

    Returns:
        The lines with their newlines; empty if the file is missing.
    """
    if not path.exists():
        return []
    return [
        line for line in path.read_text(encoding="utf-8").splitlines(keepends=True) if line.endswith("\n")
    ]
