"""Opening a library with warnings of its damage: a folder, several as one, or an address of Milvus."""

from collections.abc import Callable
from pathlib import Path

from .libraries import Libraries
from .library import Library
from .milvus.address import folder_of, is_address
from .stores import Store

__all__ = ["open_library", "open_store"]


def open_library(path: str | Path, on_damage: Callable[[str], None]) -> Library:
    """Open a library's folder, and report what cannot be read.

    Args:
        path: its folder; ``~`` is the home folder.
        on_damage: is called with a line for each damaged file.

    Returns:
        The library; searches go on without what is damaged.

    Raises:
        LibraryError: the folder is not a library, or its manifest is damaged.
    """
    library = Library.open(folder_of(path))
    for damage in library.damage:
        on_damage(f"{path}: {damage}; it is left out, see `sora index repair`")
    return library


def open_store(name: str | Path, on_damage: Callable[[str], None]) -> Store:
    """Open a library to search it, wherever it is.

    Args:
        name: its folder, those of several with commas between, or an address such as
            ``milvus://HOST:PORT/COLLECTION``; see :class:`.libraries.Libraries`.
        on_damage: is called with a line for each damaged file.

    Returns:
        The library.

    Raises:
        ConfigError: the address has another form, or the client of Milvus is not installed.
        FingerprintError: several are of different encoders.
        LibraryError: there is no library, or its server is away; or several have a video of one name.
    """
    if is_address(name):
        from .milvus.library import MilvusLibrary

        return MilvusLibrary(str(name))
    if "," not in str(name) or Path(name).expanduser().exists():
        return open_library(name, on_damage)
    return Libraries([open_library(path, on_damage) for path in str(name).split(",")])
