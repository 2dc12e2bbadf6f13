"""Opening a library with warnings of its damage."""

from collections.abc import Callable
from pathlib import Path

from .library import Library

__all__ = ["open_library"]


def open_library(path: str | Path, on_damage: Callable[[str], None]) -> Library:
    """Open a library, and report what cannot be read.

    Args:
        path: its folder; ``~`` is the home folder.
        on_damage: is called with a line for each damaged file.

    Returns:
        The library; searches go on without what is damaged.

    Raises:
        LibraryError: the folder is not a library, or its manifest is damaged.
    """
    library = Library.open(path)
    for damage in library.damage:
        on_damage(f"{path}: {damage}; it is left out, see `sora index repair`")
    return library
