"""Opening a library so that nobody searches a damaged one unawares."""

from collections.abc import Callable
from pathlib import Path

from .library import Library

__all__ = ["open_library"]


def open_library(path: str | Path, on_damage: Callable[[str], None]) -> Library:
    """Open a library, and tell what of it cannot be read.

    Args:
        path: its folder; ``~`` is the home folder.
        on_damage: is given a line for each damaged file.

    Returns:
        The library; searches go on without what is damaged.

    Raises:
        LibraryError: there is none, or its manifest is damaged.
    """
    library = Library.open(path)
    for damage in library.damage:
        on_damage(f"{path}: {damage}; it is left out, see `sora index repair`")
    return library
