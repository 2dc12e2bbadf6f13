"""Files that are written to while they are read."""

from pathlib import Path
from stat import S_ISREG

__all__ = ["CHANGED", "state"]

CHANGED = "it changed while it was read; read it again once it is whole"


def state(path: Path) -> tuple[int, int] | None:
    """Size and modification time of a file; None if there is none, or something else, such as a pipe.

    Args:
        path: the file.
    """
    try:
        status = path.stat()
    except (OSError, ValueError):
        return None
    return (status.st_size, status.st_mtime_ns) if S_ISREG(status.st_mode) else None
