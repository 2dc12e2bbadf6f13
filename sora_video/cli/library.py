"""What commands on a library share: opening it, and the report of a change."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sora_video.base import console

from . import show

if TYPE_CHECKING:
    from sora_video.index.library import Library
    from sora_video.index.store.add import Added
    from sora_video.index.store.filters import Where
    from sora_video.index.stores import Store
    from sora_video.pretrain.video.quarantine import Failure

__all__ = ["NO_VIDEOS", "change_of", "open_and_warn", "open_to_search", "report_change", "unknown_attribute"]

NO_VIDEOS = "holds no videos; add some with `sora index add`"
"""What is said of an empty library, after its path."""


def open_and_warn(path: Path) -> "Library":
    """Open a library, and list its damaged files on standard error.

    Args:
        path: its folder.

    Returns:
        The library.
    """
    from sora_video.index.opening import open_library

    return open_library(path, console.warn)


def open_to_search(name: str) -> "Store":
    """Open a library to search it, and list its damaged files on standard error.

    Args:
        name: see :func:`sora_video.index.opening.open_store`.

    Returns:
        The library.
    """
    from sora_video.index.opening import open_store

    return open_store(name, console.warn)


def unknown_attribute(library: "Store", where: "Where | None") -> str | None:
    """What is said of a filter that names an attribute which no video has; None: there is no such name.

    Args:
        library: that was asked.
        where: the filter; None: there was none.
    """
    if where is None:
        return None
    known = sorted({name for video in library.list_videos() for name in video.attributes})
    asked = (*where.attributes, *(condition.name for condition in where.conditions))
    unknown = next((name for name in asked if name not in known), None)
    there = f"there are {', '.join(known)}" if known else "they have none"
    return unknown and f"none of its videos has an attribute {unknown!r}; {there}"


def change_of(library: "Library") -> dict[str, Any]:
    """What a library holds after a change, as every command that changes one prints it with ``--json``.

    Args:
        library: as it is now.
    """
    return {"library": library.path, "slices": len(library), "videos": library.info().videos}


def report_change(
    library: "Library",
    as_json: bool = False,
    added: "Added | None" = None,
    failures: "Sequence[Failure] | None" = None,
) -> None:
    """Print what a library holds now, what was added to it, and which videos could not be read.

    Args:
        library: as it is now.
        as_json: print JSON.
        added: how many videos were added; None: nothing can have been.
        failures: of the videos that were to be added; None: none were.
    """
    held = change_of(library)
    if as_json:
        counted = added._asdict() if added else {}
        unreadable = {} if failures is None else {"unreadable": failures}
        show.print_json({**held, **counted, **unreadable})
        return
    if added and added.ignored:
        console.warn(
            f"{added.ignored} videos were left out since they were removed before, see `sora index ignored`"
        )
    counts = f"{added.added} added, {added.replaced} replaced, {added.unchanged} unchanged; " if added else ""
    console.say(f"{library.path}: {counts}{held['slices']} slices of {held['videos']} videos")
    show.print_failures(failures or (), held["videos"] + len(failures or ()))
