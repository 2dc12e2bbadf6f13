"""Opening a library with warnings of its damage: a folder, or an address of Milvus."""

from collections.abc import Callable
from pathlib import Path

from sora_video.base.errors import LibraryError

from .library import Library
from .milvus.address import is_address
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
    if is_address(path):
        raise LibraryError(
            f"library {path}: is in Milvus, where it is searched, and changed by `sora index push` alone; "
            "name a folder"
        )
    library = Library.open(path)
    for damage in library.damage:
        on_damage(f"{path}: {damage}; it is left out, see `sora index repair`")
    return library


def open_store(name: str | Path, on_damage: Callable[[str], None]) -> Store:
    """Open a library to search it, wherever it is.

    Args:
        name: its folder, or an address such as ``milvus://HOST:PORT/COLLECTION``.
        on_damage: is called with a line for each damaged file.

    Returns:
        The library.

    Raises:
        ConfigError: the address has another form, or the client of Milvus is not installed.
        LibraryError: there is no library, or its server is away.
    """
    if not is_address(name):
        return open_library(name, on_damage)
    from .milvus.library import MilvusLibrary

    return MilvusLibrary(str(name))
