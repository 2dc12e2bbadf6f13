"""Sessions that were ended before their time, in a file, so that they stay ended after a restart."""

import time
from pathlib import Path
from threading import Lock

from sora_video.base.files import read_lines, write_text

__all__ = ["Ended"]


class Ended:
    """See the module.

    Args:
        path: the file; a line for each session, its name and when it would have ended.
    """

    def __init__(self, path: Path) -> None:
        self.path, self.lock = path, Lock()
        rows = (line.split() for line in read_lines(path))
        self.until = {row[0]: int(row[1]) for row in rows if len(row) == 2 and row[1].isdecimal()}

    def __contains__(self, name: str) -> bool:
        return name in self.until

    def add(self, name: str, end: int) -> None:
        """Note that a session has ended; those whose time is over are forgotten.

        Args:
            name: of the session.
            end: when it would have ended, in seconds since 1970.

        Raises:
            StorageError: the disk refused the write; the session is ended until a restart.
        """
        with self.lock:
            now = time.time()
            self.until = {name: end, **{other: at for other, at in self.until.items() if at > now}}
            write_text(self.path, "".join(f"{other} {at}\n" for other, at in self.until.items()))
