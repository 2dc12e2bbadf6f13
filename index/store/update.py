"""Removing and editing: each writes new files and returns the manifest that names them."""

import hashlib
import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sora_video.base.errors import LibraryError

from .attributes import Attributes, Value, check_attributes, to_json
from .files import store
from .manifest import Manifest, SegmentRecord
from .snapshot import Held, Snapshot
from .video_source import VideoSource, with_source

__all__ = ["content_key", "differ", "edit", "refuse_clashes", "remove", "succeed"]


def refuse_clashes(snapshot: Snapshot, changed: Mapping[str, Held], source: VideoSource | None) -> None:
    """Refuse to replace videos by other files that have the same names.

    Args:
        snapshot: the library as it is.
        changed: the videos that are held with another content, by name.
        source: of the files to add; None: unknown.

    Raises:
        LibraryError: one is held from another file; both are named.
    """
    clashes = [
        (name, held.source.path(name))
        for name, held in changed.items()
        if held.source and not (source and held.source.same_file(source, name))
    ]
    if not clashes:
        return
    name, path = clashes[0]
    other = source.path(name) if source else "a table that names no folder"
    prefix = Path(source.root).name if source and not source.prefix else "NAME"
    raise LibraryError(
        f"library {snapshot.folder}: {len(clashes)} names to add are taken by other videos, as {name}: "
        f"held from {path}, now from {other}; give the new ones other names with --prefix "
        f"{prefix or 'NAME'}, or replace what is held with --replace"
    )


def remove(snapshot: Snapshot, videos: Collection[str]) -> Manifest:
    """Hide videos.

    Args:
        snapshot: the library as it is.
        videos: to hide.

    Returns:
        The manifest to commit.

    Raises:
        LibraryError: the library does not hold one of them, or is damaged.
        StorageError: the disk refused the write.
    """
    held = snapshot.find_all(videos)
    edited = {name: value for name, value in snapshot.edits().items() if name not in held}
    return succeed(snapshot, snapshot.hide(held.values()), edited)


def edit(snapshot: Snapshot, changes: Mapping[str, Mapping[str, Value | None]]) -> Manifest:
    """Set and delete attributes.

    Args:
        snapshot: the library as it is.
        changes: values by video and name; None deletes the attribute.

    Returns:
        The manifest to commit.

    Raises:
        LibraryError: the library does not hold one of the videos, it is damaged, or it cannot keep a value.
        StorageError: the disk refused the write.
    """
    edited = snapshot.edits()
    for name, held in snapshot.find_all(changes).items():
        merged = {**held.attributes, **changes[name]}
        kept = {key: value for key, value in merged.items() if value is not None}
        check_attributes(name, kept)
        edited[name] = with_source(kept, held.source)
    return succeed(snapshot, [segment.record for segment in snapshot.segments], edited)


def succeed(
    snapshot: Snapshot,
    records: Iterable[SegmentRecord],
    edited: Mapping[str, Attributes] | None,
    **changes: Any,
) -> Manifest:
    """The manifest that follows; segments of which nothing is visible leave it.

    Args:
        snapshot: the library as it is.
        records: its segments from then on.
        edited: the attributes that replace the stored ones; written if they changed. None: those of the
            damaged file.
        changes: to the manifest's other fields.

    Raises:
        StorageError: the disk refused the write.
    """
    manifest = snapshot.manifest
    file = manifest.attributes
    if differ(edited, snapshot.edited):
        data = json.dumps(edited, sort_keys=True).encode()
        name = f"attributes/{manifest.next_segment:06d}.json"
        file = store(snapshot.folder, name, data) if edited else None
    kept = tuple(record for record in records if record.visible)
    number = manifest.next_segment + 1
    return replace(manifest, segments=kept, attributes=file, next_segment=number, **changes)


def content_key(start_s: NDArray[Any], end_s: NDArray[Any], vectors: NDArray[Any]) -> str:
    """SHA-256 of a video's rows: times and vectors.

    Args:
        start_s: (n,) starts in seconds.
        end_s: (n,) ends in seconds.
        vectors: (n, D).

    Returns:
        64 hexadecimal digits.
    """
    digest = hashlib.sha256()
    for column, kind in ((start_s, "<f8"), (end_s, "<f8"), (vectors, "<f4")):
        digest.update(np.ascontiguousarray(column, kind).tobytes())
    return digest.hexdigest()


def differ(first: Mapping[str, Attributes] | None, other: Mapping[str, Attributes] | None) -> bool:
    """Whether attributes by video differ as they are written; to Python 1 and true are equal.

    Args:
        first: attributes by video; None: of a damaged file.
        other: the others.
    """
    if first is None or other is None:
        return first is not other
    return first.keys() != other.keys() or any(
        attributes is not other[name] and to_json(attributes) != to_json(other[name])
        for name, attributes in first.items()
    )
