"""Files that were made and can be made again, in a folder of bounded size."""

import os
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from sora_video.base.files import atomic_path
from sora_video.base.unfinished import sweep

__all__ = ["Cache"]

KEPT = 0.9
"""Part of the size that is kept where files are deleted."""


class Cache:
    """A folder whose longest unused files are deleted.

    Args:
        folder: made when something is kept.
        most_bytes: of all files together, the newest one excepted.
    """

    def __init__(self, folder: Path, most_bytes: int) -> None:
        self.folder, self.most_bytes = folder, most_bytes
        self.lock = threading.Lock()
        self.making: dict[str, threading.Lock] = {}
        sweep(folder)
        self.bytes = sum(size for _, size, _ in self.files())
        """Of all files together."""

    def get(self, name: str, make: Callable[[Path], None]) -> Path:
        """A file, which is made where it is missing; of several calls at a time, one makes it.

        Args:
            name: of the file; it says all that decides the content.
            make: writes it to a path, or raises.
        """
        target = self.folder / name
        with self.lock:
            lock = self.making.setdefault(name, threading.Lock())
        try:
            with lock:
                if not self.touch(target):
                    with atomic_path(target) as beside:
                        make(beside)
                    self.touch(target)
                    self.count(target)
        finally:
            with self.lock:
                self.making.pop(name, None)
        return target

    def count(self, made: Path) -> None:
        """Count a new file, and make room where all together are too many."""
        with self.lock, suppress(OSError):
            self.bytes += made.stat().st_size
            if self.bytes > self.most_bytes:
                self.trim()

    def touch(self, path: Path) -> bool:
        """Note that a file is used now; False where it is missing."""
        with suppress(OSError):
            os.utime(path, ns=(time.time_ns(), time.time_ns()))  # the file system's own clock is coarse
            return True
        return False

    def files(self) -> list[tuple[int, int, Path]]:
        """Time of the last use, size and path of each file, the latest first."""
        found = []
        with suppress(OSError):
            for entry in os.scandir(self.folder):
                if not entry.name.startswith("."):
                    with suppress(OSError):
                        status = entry.stat()
                        found.append((status.st_mtime_ns, status.st_size, Path(entry.path)))
        return sorted(found, reverse=True)

    def trim(self) -> None:
        """Delete the longest unused files, and some more, so that not every further one asks for it."""
        left, kept = int(KEPT * self.most_bytes), 0
        for number, (_, size, path) in enumerate(self.files()):
            left -= size
            if left < 0 and number > 0:
                path.unlink(missing_ok=True)
            else:
                kept += size
        self.bytes = kept
