"""Purging: videos leave the disk at once, with all that was derived from them."""

import shutil
from collections.abc import Collection
from dataclasses import replace

from sora_video.base.errors import LibraryError
from sora_video.base.storage import storage_errors

from .compact import merge
from .files import Checks
from .manifest import Manifest
from .migration import erase
from .opening import open_snapshot
from .place import FRAMES
from .snapshot import Snapshot
from .update import remove

__all__ = ["contents_in", "purge"]


def contents_in(snapshot: Snapshot, videos: Collection[str]) -> dict[str, str]:
    """The contents of videos that a library knows, whether they can be seen or not.

    Args:
        snapshot: the library.
        videos: some of its videos: visible, hidden, or only named among those that it ignores.

    Returns:
        SHA-256 by video; empty where it is unknown.

    Raises:
        LibraryError: one is not there, or a table is damaged.
    """
    listed = {entry.name for entry in snapshot.manifest.ignored}
    found = {name: "" for name in videos if name in listed} | {
        name: entry.content
        for segment in snapshot.segments
        for name, entry in segment.table.find(videos).items()
    }
    unknown = ", ".join(sorted(set(videos) - found.keys()))
    if unknown:
        raise LibraryError(
            f"library {snapshot.folder}: has no video {unknown}, hidden ones included; nothing was done, "
            "correct the name"
        )
    return found


def purge(snapshot: Snapshot, videos: Collection[str]) -> Manifest:
    """Write all segments that have rows of some videos again, without them.

    The indexes of frames are deleted, as only contents name them; they are made again when they are needed.
    The whitening is left out, so that the commit fits another.

    Args:
        snapshot: the library as it is.
        videos: to purge; also such that were removed before.

    Returns:
        The manifest to commit; files that it does not name are to be swept then.

    Raises:
        LibraryError: the library does not have one of them, or a segment that has is damaged.
        StorageError: the disk refused the write.
    """
    contents_in(snapshot, videos)
    hidden = remove(snapshot, snapshot.find(videos).keys())
    left = open_snapshot(Checks(snapshot.folder), hidden, snapshot)
    chosen = [segment for segment in left.segments if segment.table.find(videos)]
    manifest = merge(left, chosen) if chosen else hidden
    erase(snapshot.folder, videos)
    frames = snapshot.folder / FRAMES
    with storage_errors(frames):
        if frames.exists():
            shutil.rmtree(frames)
    return replace(manifest, whitening=None)
