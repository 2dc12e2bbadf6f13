"""Files of a library: immutable, named with size and SHA-256, verified before anything reads them."""

import errno
import hashlib
import json
import os
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, NamedTuple

from sora_video.base.digests import file_sha256
from sora_video.base.errors import LibraryError, StorageError
from sora_video.base.files import atomic_path, write_json

__all__ = [
    "VERIFIED",
    "Checks",
    "Damage",
    "DamagedError",
    "FileWriter",
    "StoredFile",
    "access_errors",
    "refusal",
    "store",
    "stored_file",
    "storing",
]

VERIFIED = "verified.json"
"""Lists the files that were verified; it can be deleted without loss."""
REMEMBERED_BYTES = 1 << 20
"""Files from this size on are remembered; smaller ones are read again each time."""
TICK_NS = 50_000_000
"""A file that changed so shortly before it was verified may have changed once more under the same time."""

MORE_FILES = "raise the limit of open files, see `ulimit -n`"
REMEDIES = {
    errno.EMFILE: MORE_FILES,
    errno.ENFILE: MORE_FILES,
    errno.ENOMEM: "free memory, or raise its limit, see `ulimit -v`",
    errno.EACCES: "allow reading it with `chmod` or `chown`",
    errno.EPERM: "allow reading it with `chmod` or `chown`",
}
"""By error number; the file itself may be undamaged."""


class DamagedError(LibraryError):
    """Bytes of a file are missing, or are not those that were written."""


@contextmanager
def access_errors(path: Path) -> Iterator[None]:
    """Distinguish a missing file, which is damage, from one that this process cannot read now.

    Args:
        path: the file, for the message.

    Raises:
        DamagedError: the block found the file missing.
        LibraryError: memory, a permission or a limit kept the block from reading it; the message is a whole
            line with the remedy.
    """
    try:
        yield
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError) as error:
        raise DamagedError("is missing") from error
    except MemoryError as error:
        raise refusal(path, errno.ENOMEM) from error
    except OSError as error:
        raise refusal(path, error.errno or errno.EIO) from error


def refusal(path: Path, code: int) -> LibraryError:
    """The error for a file that cannot be read now.

    Args:
        path: the file, for the message.
        code: the operating system's error number.
    """
    remedy = REMEDIES.get(code, "check the disk and try again")
    return LibraryError(f"{path}: cannot be read: {os.strerror(code)}; {remedy}")


@dataclass(frozen=True, kw_only=True)
class StoredFile:
    """One immutable file of a library."""

    name: str
    """Path relative to the library, with ``/``."""
    size: int
    """In bytes."""
    sha256: str


class Damage(NamedTuple):
    """A file of a library that is not as it was written."""

    segment: str | None
    """The segment it belongs to, as ``000001``; None: it belongs to none."""
    file: str
    """Path relative to the library."""
    reason: str

    def __str__(self) -> str:
        of = f" of segment {self.segment}" if self.segment else ""
        return f"{self.file}{of} {self.reason}"


class FileWriter:
    """Writes a file and keeps count and SHA-256 of its bytes.

    Args:
        name: path relative to the library, with ``/``.
        file: open for writing, empty.
    """

    def __init__(self, name: str, file: IO[bytes]) -> None:
        self.name, self._file = name, file
        self._size, self._hash = 0, hashlib.sha256()

    def write(self, data: bytes | memoryview) -> None:
        """Append bytes.

        Args:
            data: any number of them.
        """
        self._file.write(data)
        self._hash.update(data)
        self._size += len(data)

    def rewrite_start(self, data: bytes) -> None:
        """Replace the first bytes; the whole file is read again for its SHA-256.

        Args:
            data: no more bytes than were written.
        """
        self._file.seek(0)
        self._file.write(data)
        self._file.seek(0)
        self._hash = hashlib.file_digest(self._file, "sha256")  # type: ignore[arg-type]  # IO[bytes] reads too
        self._file.seek(self._size)

    @property
    def stored(self) -> StoredFile:
        """The file as it was written so far."""
        return StoredFile(name=self.name, size=self._size, sha256=self._hash.hexdigest())


@contextmanager
def storing(folder: Path, name: str) -> Iterator[FileWriter]:
    """Write one file of a library in parts; it appears only if the block succeeds.

    Args:
        folder: the library.
        name: path relative to the library, with ``/``.

    Yields:
        The file's writer.

    Raises:
        StorageError: the disk refused the write.
    """
    with atomic_path(folder / name) as path, path.open("w+b") as file:
        yield FileWriter(name, file)


def store(folder: Path, name: str, data: bytes) -> StoredFile:
    """Write one file of a library.

    Args:
        folder: the library.
        name: path relative to the library, with ``/``.
        data: the whole content.

    Returns:
        The file's name, size and SHA-256.

    Raises:
        StorageError: the disk refused the write.
    """
    with storing(folder, name) as writer:
        writer.write(data)
    return writer.stored


def stored_file(folder: Path, name: str) -> StoredFile:
    """Describe a file of a library that something else wrote.

    Args:
        folder: the library.
        name: path relative to the library, with ``/``.

    Raises:
        OSError: the file cannot be read.
    """
    path = folder / name
    return StoredFile(name=name, size=path.stat().st_size, sha256=file_sha256(path))


class Checks:
    """Verifies files, and remembers large ones as long as they do not change.

    Args:
        folder: the library.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._verified = read_verified(folder / VERIFIED)
        self._changed = False
        self.read: set[str] = set()
        """Names of the files that were read to verify them: their content is new here."""

    def path(self, file: StoredFile, again: bool = False) -> Path:
        """The path of a file, after it was verified.

        Args:
            file: as the manifest names it.
            again: read it even if it was verified before.

        Raises:
            DamagedError: the file is missing, or is not as it was written; the message says which.
            LibraryError: it cannot be read now, see :func:`access_errors`.
        """
        path = self.folder / file.name
        with access_errors(path):
            state = path.stat()
            if not stat.S_ISREG(state.st_mode):
                raise DamagedError("is missing: something else has its name")
            if state.st_size != file.size:
                raise DamagedError(f"is damaged: {state.st_size} bytes, expected {file.size}")
            mark: list[str | int] = [file.sha256, state.st_size, state.st_ctime_ns, state.st_ino]
            if again or self._verified.get(file.name) != mark:
                started_ns = time.time_ns()
                sha256 = file_sha256(path)
                self._remember(file, mark if sha256 == file.sha256 else None, started_ns)
                if sha256 != file.sha256:
                    raise DamagedError("is damaged: its SHA-256 does not fit the manifest")
                self.read.add(file.name)
        return path

    def forget(self, file: StoredFile) -> None:
        """Read a file again the next time, since what it holds is damaged, whatever its SHA-256."""
        self._remember(file, None, 0)

    def _remember(self, file: StoredFile, mark: list[str | int] | None, started_ns: int) -> None:
        """Keep, or forget, that a file was verified."""
        known = self._verified.pop(file.name, None)
        if mark and file.size >= REMEMBERED_BYTES and int(mark[2]) < started_ns - TICK_NS:
            self._verified[file.name] = mark
        self._changed |= known != self._verified.get(file.name)

    def save(self, names: set[str]) -> None:
        """Keep on the disk which files were verified; a folder that cannot be written is left as it is.

        Args:
            names: the manifest's files; others are forgotten.
        """
        if self._changed:
            kept = {name: mark for name, mark in self._verified.items() if name in names}
            with suppress(StorageError):
                write_json(self.folder / VERIFIED, kept)
            self._changed = False


def read_verified(path: Path) -> dict[str, list[str | int]]:
    """The verified files by name; none where the list cannot be read."""
    try:
        verified = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return verified if isinstance(verified, dict) else {}
