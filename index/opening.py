"""Opening a library with warnings of its damage."""

from collections.abc import Callable
from pathlib import Path

from .libraries import Libraries
from .library import Library
from .opened import OpenedLibrary

__all__ = ["open_libraries", "open_library"]


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


def open_libraries(paths: str, on_damage: Callable[[str], None]) -> OpenedLibrary:
    """Open one library or several, to search them as one; see :class:`.libraries.Libraries`.

    Args:
        paths: the folder of one, or of several with commas between.
        on_damage: see :func:`open_library`.

    Returns:
        The library, or libraries.

    Raises:
        SoraError: see :func:`open_library` and :class:`.libraries.Libraries`.
    """
    if "," not in paths or Path(paths).expanduser().exists():
        return open_library(paths, on_damage)
    return Libraries([open_library(path, on_damage) for path in paths.split(",")])
