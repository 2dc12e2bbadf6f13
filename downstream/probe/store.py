"""Rows of features by what they were made of, on the disk: appended, never changed, mapped into memory.

CACHE/contents.jsonl          what is known of files: path, size, time of change, hash of the content
CACHE/lock                    held by the one process that adds
CACHE/NAME/about.json         what made the rows of this folder
CACHE/NAME/rows.jsonl         a line a video: key, first row, how many rows; the commit point
CACHE/NAME/vectors.f32        all rows, float32

A video's rows reach the disk before its line does. What a killed process left behind the last whole line is
written over by the next.
"""

import json
import os
import time
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sora_video.base.digests import file_sha256
from sora_video.base.errors import StorageError
from sora_video.base.files import read_lines, write_json
from sora_video.base.locks import locked as hold_lock
from sora_video.base.storage import storage_errors

__all__ = ["Contents", "FeatureStore", "locked"]

COMMIT_S = 1.0
"""Seconds of work that a kill may lose."""


def locked(cache: Path) -> AbstractContextManager[None]:
    """Lock a cache for adding; waits until no other process holds it.

    Args:
        cache: the folder.

    Returns:
        Holds the lock while it is entered.
    """
    with storage_errors(cache):
        cache.mkdir(parents=True, exist_ok=True)
    return hold_lock(cache / "lock")


class Contents:
    """Hashes of files' contents, kept by path, size and time of change.

    Args:
        cache: the folder where they are kept.
    """

    def __init__(self, cache: Path) -> None:
        self.path = cache / "contents.jsonl"
        self.known: dict[tuple[str, int, int], str] = {}
        self.new: list[dict[str, Any]] = []
        for line in read_lines(self.path):
            record = json.loads(line)
            self.known[record["path"], record["size"], record["mtime_ns"]] = record["content"]

    def digest(self, path: Path) -> str:
        """The hash of a file's content, 32 hexadecimal digits.

        Raises:
            OSError: the file cannot be read.
        """
        real = os.path.realpath(path)
        status = Path(real).stat()
        key = real, status.st_size, status.st_mtime_ns
        if key not in self.known:
            content = file_sha256(Path(real))[:32]
            self.known[key] = content
            self.new.append(dict(zip(("path", "size", "mtime_ns"), key, strict=True)) | {"content": content})
        return self.known[key]

    def save(self) -> None:
        """Add what is new to the disk, in a single write."""
        if not self.new:
            return
        text = "".join(json.dumps(record) + "\n" for record in self.new)
        with storage_errors(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            whole = not self.path.exists() or self.path.read_bytes()[-1:] in (b"", b"\n")
        append(self.path, ("" if whole else "\n").encode() + text.encode())
        self.new = []


class FeatureStore:
    """One kind of features.

    Args:
        folder: where they are.
        about: all that decides them beside the video; its ``dim`` is D.

    Raises:
        StorageError: the folder holds another kind, or cannot be written.
    """

    def __init__(self, folder: Path, about: Mapping[str, Any]) -> None:
        self.folder, self.dim = folder, int(about["dim"])
        self.lines, self.vectors = folder / "rows.jsonl", folder / "vectors.f32"
        described = folder / "about.json"
        if not described.is_file():
            write_json(described, dict(about))
        elif json.loads(described.read_text(encoding="utf-8")) != dict(about):
            raise StorageError(
                f"features {folder}: were made by another encoder or settings; remove them or set --cache"
            )
        self.row_ranges: dict[str, tuple[int, int]] = {}
        self.pending: list[tuple[str, NDArray[np.float32]]] = []
        self.committed, self.is_writing = 0.0, False
        self.refresh()

    def __contains__(self, key: str) -> bool:
        return key in self.row_ranges

    def refresh(self) -> None:
        """Take in what is on the disk."""
        for line in read_lines(self.lines):
            record = json.loads(line)
            self.row_ranges[record["key"]] = record["first"], record["count"]

    def start(self) -> None:
        """Cut off what was not committed; to be called once the cache is locked."""
        self.refresh()
        rows = max((first + count for first, count in self.row_ranges.values()), default=0)
        text = "".join(read_lines(self.lines)).encode()
        for path, size in ((self.vectors, rows * self.dim * 4), (self.lines, len(text))):
            with storage_errors(path):
                path.touch()
                if path.stat().st_size < size:
                    raise StorageError(f"features {self.folder}: {path.name} is cut short; remove the folder")
                os.truncate(path, size)
        self.rows, self.committed = rows, time.monotonic()

    def add(self, key: str, rows: NDArray[np.float32]) -> None:
        """Add the (n, D) rows of a video; they are safe a second later, or after :meth:`commit`."""
        self.pending.append((key, rows))
        if time.monotonic() - self.committed > COMMIT_S:
            self.commit()

    def commit(self) -> None:
        """Bring what was added to the disk: first the rows, then the lines that name them.

        What a call that was interrupted left half-written is cut off by the next.
        """
        if self.is_writing:
            self.start()
            self.pending = [(key, rows) for key, rows in self.pending if key not in self]
        self.is_writing = True
        ranges: dict[str, tuple[int, int]] = {}
        for key, rows in self.pending:
            ranges[key] = self.rows, len(rows)
            self.rows += len(rows)
        data = b"".join(np.ascontiguousarray(rows, np.float32).tobytes() for _, rows in self.pending)
        lines = [
            json.dumps({"key": key, "first": first, "count": count}) + "\n"
            for key, (first, count) in ranges.items()
        ]
        append(self.vectors, data)
        append(self.lines, "".join(lines).encode())
        self.row_ranges.update(ranges)
        self.pending, self.committed, self.is_writing = [], time.monotonic(), False

    def read(
        self, keys: Sequence[str | None]
    ) -> tuple[NDArray[np.float32], NDArray[np.int64], NDArray[np.int64]]:
        """The rows of videos.

        Args:
            keys: N of them; those that are not there, and None, have no rows.

        Returns:
            (M, D) all rows, mapped into memory; (N,) the first of each key; (N,) how many it has.
        """
        ranges = [self.row_ranges.get(key, (0, 0)) if key else (0, 0) for key in keys]
        first, count = np.array(ranges, np.int64).reshape(-1, 2).T
        total = max((first_row + rows for first_row, rows in self.row_ranges.values()), default=0)
        if total == 0:
            return np.zeros((0, self.dim), np.float32), first, count
        return np.memmap(self.vectors, np.float32, "r", shape=(total, self.dim)), first, count


def append(path: Path, data: bytes) -> None:
    """Add bytes to a file's end, flushed to the disk."""
    with storage_errors(path), path.open("ab") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
