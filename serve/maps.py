"""The map of the library that a server keeps: a job draws it, requests read it."""

from pathlib import Path
from threading import Lock

from sora_video.base.errors import LibraryError
from sora_video.index.map import LibraryMap, read_map

__all__ = ["Maps", "map_path"]

Stamp = tuple[int, int, int]


def map_path(state: Path) -> Path:
    """Where a server keeps its map.

    Args:
        state: the server's folder.
    """
    return state / "map.parquet"


class Maps:
    """Reads the map again when another one was written.

    Args:
        state: the server's folder.
    """

    def __init__(self, state: Path) -> None:
        self.path, self.lock = map_path(state), Lock()
        self.stamp: Stamp | None = None
        self.known: LibraryMap | None = None

    def now(self) -> LibraryMap | None:
        """The map that was drawn last; None where there is none, or its file is damaged."""
        with self.lock:
            stamp = self.read_stamp()
            if stamp != self.stamp:
                self.stamp, self.known = stamp, self.read()
            return self.known

    def read(self) -> LibraryMap | None:
        """The map in the file."""
        try:
            return read_map(self.path)
        except LibraryError:
            return None

    def read_stamp(self) -> Stamp | None:
        """What tells one file from another."""
        try:
            status = self.path.stat()
        except OSError:
            return None
        return status.st_ino, status.st_size, status.st_mtime_ns
