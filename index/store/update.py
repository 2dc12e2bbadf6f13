"""Adding, removing and editing: each writes new files and returns the manifest that names them."""

import hashlib
import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sora_video.base.errors import LibraryError
from sora_video.pretrain.encoders.embeddings import Embeddings

from .files import store
from .filters import Attributes, Value, check_attributes, to_json
from .ignored import barred
from .manifest import Manifest, SegmentRecord
from .segment import Block, Member, write_segment
from .snapshot import Held, Snapshot
from .table import Slices
from .video_source import VideoSource, with_source

__all__ = ["Added", "add", "content_key", "edit", "refuse_clashes", "remove", "succeed"]


class Added(NamedTuple):
    """How many videos were added, replaced and left as they were."""

    added: int = 0
    replaced: int = 0
    """Videos that the library held under the same name with another content."""
    unchanged: int = 0
    """Videos that the library held with the same content; they keep their slices."""
    ignored: int = 0
    """Videos that are not to come back; they were left out."""


def add(
    snapshot: Snapshot,
    embeddings: Embeddings,
    content: Mapping[str, str],
    attributes: Mapping[str, Attributes],
    source: VideoSource | None = None,
    replacing: bool = False,
) -> tuple[Manifest, Added]:
    """Write the videos that are new or changed.

    Args:
        snapshot: the library as it is.
        embeddings: all slices of the videos.
        content: SHA-256 of a video's content; where it is missing, that of its rows is used.
        attributes: to set, by video; also of videos that the library holds and that are not added.
        source: of the videos; None: unknown.
        replacing: replace videos of other sources too.

    Returns:
        The manifest to commit, and what it changes.

    Raises:
        LibraryError: attributes cannot be kept, the library is damaged, or it holds another video of one of
            the names, see :func:`refuse_clashes`.
        StorageError: the disk refused the write.
    """
    for name, given in attributes.items():
        check_attributes(name, given)
    rows = rows_by_video(embeddings)
    keys = keys_of(embeddings, rows, content)
    held = snapshot.find({**rows, **attributes, **content})
    changed = [name for name in rows if name not in held or content_of(snapshot, held[name]) != keys[name]]
    left_out = barred(snapshot.manifest, {name: keys[name] for name in changed})
    changed = [name for name in changed if name not in left_out]
    if not replacing:
        refuse_clashes(snapshot, {name: held[name] for name in changed if name in held}, source)
    written, same = set(changed), rows.keys() - {*changed, *left_out}
    again = same | {
        name for name in held.keys() - rows.keys() if content.get(name) == held[name].entry.content
    }
    wanted = {name: with_source(attributes.get(name, {}), source) for name in written - held.keys()}
    for name, old in held.items():
        now = source_after(old, source, written=name in written, again=name in again)
        wanted[name] = with_source({**old.attributes, **attributes.get(name, {})}, now)
    members = [Member(name, keys[name], wanted[name], len(rows[name])) for name in changed]
    records = snapshot.hide([held[member.video_id] for member in members if member.video_id in held])
    next_slice_id = snapshot.manifest.next_slice_id
    if members:
        order = np.concatenate([rows[member.video_id] for member in members])
        block = block_of(embeddings, members, order, next_slice_id)
        records.append(write_segment(snapshot.folder, snapshot.manifest, len(block.vectors), [block]))
        next_slice_id += len(block.vectors)
    edited = {name: value for name, value in snapshot.edits().items() if name not in written}
    before = {name: with_source(held[name].attributes, held[name].source) for name in held.keys() - written}
    edited |= {name: wanted[name] for name in before if to_json(wanted[name]) != to_json(before[name])}
    replaced = len(written & held.keys())
    result = Added(len(written) - replaced, replaced, len(same), len(left_out))
    if not written and not differ(edited, snapshot.edited):
        return snapshot.manifest, result
    return succeed(snapshot, records, edited, next_slice_id=next_slice_id), result


def keys_of(
    embeddings: Embeddings, rows: Mapping[str, NDArray[np.int64]], content: Mapping[str, str]
) -> dict[str, str]:
    """What each video's content is known by: as it is given, else by its rows."""
    return {
        name: content.get(name)
        or content_key(
            embeddings.start_s[video_rows], embeddings.end_s[video_rows], embeddings.vectors[video_rows]
        )
        for name, video_rows in rows.items()
    }


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


def source_after(held: Held, source: VideoSource | None, *, written: bool, again: bool) -> VideoSource | None:
    """The source of a video that is held, after an addition.

    Args:
        held: the video.
        source: of the addition; None: unknown.
        written: whether the addition replaces the video.
        again: whether it holds the same content; the source changes where the old file is gone.
    """
    if source is None or source == held.source or not (written or again):
        return held.source
    kept = again and held.source is not None and held.source.has(held.entry.video_id)
    return held.source if kept else source


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


def rows_by_video(embeddings: Embeddings) -> dict[str, NDArray[np.int64]]:
    """The rows of each video, in order of appearance."""
    rows: dict[str, list[int]] = {}
    for row, name in enumerate(embeddings.video_id.tolist()):
        rows.setdefault(name, []).append(row)
    return {name: np.array(video_rows, np.int64) for name, video_rows in rows.items()}


def block_of(
    embeddings: Embeddings, members: Sequence[Member], rows: NDArray[np.int64], first_slice_id: int
) -> Block:
    """Some rows to write, with ids from ``first_slice_id`` on."""
    slices = Slices(
        slice_id=np.arange(first_slice_id, first_slice_id + len(rows)),
        slice_no=embeddings.slice_no[rows],
        start_s=embeddings.start_s[rows],
        end_s=embeddings.end_s[rows],
        still=embeddings.still[rows],
    )
    return Block(members, slices, embeddings.vectors[rows])


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


def content_of(snapshot: Snapshot, held: Held) -> str:
    """The content of a video that is held; tables of version 1 did not keep it."""
    if held.entry.content or snapshot.segments[held.segment_no].vectors is None:
        return held.entry.content
    embeddings = snapshot.embeddings(held)
    return content_key(embeddings.start_s, embeddings.end_s, embeddings.vectors)


def differ(first: Mapping[str, Attributes] | None, other: Mapping[str, Attributes] | None) -> bool:
    """Whether attributes by video differ as they are written; to Python 1 and true are equal."""
    if first is None or other is None:
        return first is not other
    return first.keys() != other.keys() or any(
        attributes is not other[name] and to_json(attributes) != to_json(other[name])
        for name, attributes in first.items()
    )
