"""A library whose building was interrupted: it holds the videos that were done, and the same call goes on.

``stopped.json`` in its folder says what is being built; it goes when all videos are done.
"""

import json
from pathlib import Path
from typing import Any

from sora_video.base.errors import LibraryError
from sora_video.base.files import write_json

__all__ = ["is_stopped", "note_end", "note_stop", "refuse_other"]

NAME = "stopped.json"


def is_stopped(library: Path) -> bool:
    """Whether the building of a library was interrupted.

    Args:
        library: its folder, which may be missing.
    """
    return (library.expanduser() / NAME).is_file()


def note_stop(library: Path, order: dict[str, Any]) -> None:
    """Note that a library is not finished.

    Args:
        library: its folder.
        order: what is being built.

    Raises:
        StorageError: the disk refused the write.
    """
    write_json(library / NAME, order)


def note_end(library: Path) -> None:
    """Note that a library is finished.

    Args:
        library: its folder.
    """
    (library / NAME).unlink(missing_ok=True)


def refuse_other(library: Path, order: dict[str, Any]) -> None:
    """Refuse to go on with a library of other videos.

    Args:
        library: its folder.
        order: what is to be built now.

    Raises:
        LibraryError: it is not what was being built.
    """
    before = json.loads((library / NAME).read_text(encoding="utf-8"))
    if before != order:
        told = ", ".join(f"{name}={value!r}" for name, value in before.items() if order.get(name) != value)
        raise LibraryError(
            f"library {library}: its building was stopped with {told}; give that again, add to it with "
            "`sora index add`, or build to another folder"
        )
