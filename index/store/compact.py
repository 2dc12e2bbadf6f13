"""Compaction: several segments become one, without hidden videos and with edited attributes."""

import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate

import numpy as np

from sora_video.base.errors import LibraryError

from . import version1
from .filters import Attributes
from .manifest import Manifest
from .segment import Block, Member, Segment, write_segment
from .snapshot import Snapshot
from .table import Entry, Slices
from .update import content_key, succeed

__all__ = ["block", "compact", "merge_small", "parts_of", "visible_blocks", "whole"]

BLOCK_ROWS = 8192
"""Rows held in memory at once, except for a longer video."""
GROWTH = 8
"""So many segments of equal size are merged automatically."""


def compact(snapshot: Snapshot, max_rows: int | None = None) -> Manifest:
    """Merge segments into one; slices keep their ids.

    Args:
        snapshot: the library as it is.
        max_rows: leave segments with more rows than these alone; None: merge all.

    Returns:
        The manifest to commit; the same where there is nothing to gain.

    Raises:
        LibraryError: a segment to merge is damaged, or the file of edited attributes is.
        StorageError: the disk refused the write.
    """
    chosen = [s for s in snapshot.segments if max_rows is None or s.record.rows <= max_rows]
    edited = snapshot.edits()
    stale = any(segment.find(edited) for segment in chosen)
    if not chosen or (len(chosen) == 1 and not stale and not wasteful(chosen[0])):
        return snapshot.manifest
    return merge(snapshot, chosen)


def merge(snapshot: Snapshot, chosen: Sequence[Segment]) -> Manifest:
    """Write some segments as one, with what was edited of them.

    Raises:
        LibraryError: one of them is damaged, or the file of edited attributes is.
        StorageError: the disk refused the write.
    """
    whole(snapshot, chosen)
    edited = snapshot.edits()
    written = {name for segment in chosen for name in segment.find(edited)}
    rows = sum(segment.record.visible for segment in chosen)
    merged = write_segment(snapshot.folder, snapshot.manifest, rows, visible_blocks(chosen, edited))
    kept = [segment.record for segment in snapshot.segments if segment not in chosen]
    left = {name: value for name, value in edited.items() if name not in written}
    return succeed(snapshot, [*kept, merged], left)


def merge_small(snapshot: Snapshot) -> Manifest:
    """Merge small segments where there are many, so that n slices lie in O(log n) segments.

    Each merge makes its segments :data:`GROWTH` times as large at least, so that a slice is written again
    O(log n) times. Segments with an index of their own, and damaged ones, are left alone.

    Args:
        snapshot: the library as it is.

    Returns:
        The manifest to commit; the same where there are not many.

    Raises:
        StorageError: the disk refused the write.
    """
    chosen = small([s for s in snapshot.searchable if s.record.index is None])
    return merge(snapshot, chosen) if chosen else snapshot.manifest


def small(segments: Sequence[Segment]) -> list[Segment]:
    """The smallest segments, as many as together are :data:`GROWTH` times as large as the largest of them."""
    rising = sorted(segments, key=lambda segment: segment.record.rows)
    totals = accumulate(segment.record.rows for segment in rising)
    counts = [
        count
        for count, (segment, total) in enumerate(zip(rising, totals, strict=True), 1)
        if total >= GROWTH * segment.record.rows
    ]
    return rising[: max(counts, default=0)]


def wasteful(segment: Segment) -> bool:
    """Whether writing a segment again saves anything."""
    return bool(segment.record.removed) or segment.record.slices.name.endswith(version1.SUFFIX)


def whole(snapshot: Snapshot, segments: Sequence[Segment]) -> None:
    """Refuse segments that are damaged.

    Args:
        snapshot: the library, for the message.
        segments: some of its segments.

    Raises:
        LibraryError: one is damaged.
    """
    for segment in segments:
        if not segment.searchable:
            raise LibraryError(f"library {snapshot.folder}: {segment.damage[0]}; see `sora index repair`")


def visible_blocks(segments: Sequence[Segment], edited: Mapping[str, Attributes]) -> Iterator[Block]:
    """All visible videos of some whole segments, by rising slice id.

    Args:
        segments: whole ones.
        edited: attributes that replace the stored ones, by video.

    Yields:
        Whole videos of one segment, of about ``BLOCK_ROWS`` rows or of one longer video.
    """
    pending: list[Entry] = []
    rows = before = 0
    for number, video in parts_of(segments):
        if pending and (rows >= BLOCK_ROWS or number != before):
            yield block(segments[before], pending, edited)
            pending, rows = [], 0
        pending.append(segments[number].table.entry(video))
        rows, before = rows + pending[-1].rows, number
    if pending:
        yield block(segments[before], pending, edited)


def parts_of(segments: Sequence[Segment]) -> Iterator[tuple[int, int]]:
    """The visible videos by rising slice id: number of the segment, and of the video in it."""
    parts = []
    for segment_no, segment in enumerate(segments):
        first = segment.table.first_slice_ids()
        videos = np.arange(len(first))
        hidden = [entry.number for entry in segment.table.find(segment.record.removed).values()]
        parts.append(np.delete(np.stack([first, np.full_like(first, segment_no), videos]), hidden, axis=1))
    found = np.concatenate(parts, axis=1) if parts else np.zeros((3, 0), np.int64)
    for column in np.argsort(found[0], kind="stable"):
        yield int(found[1, column]), int(found[2, column])


def block(segment: Segment, entries: Sequence[Entry], edited: Mapping[str, Attributes]) -> Block:
    """Some videos of a segment, to write again."""
    rows = np.concatenate([np.arange(entry.first_row, entry.first_row + entry.rows) for entry in entries])
    spans = np.concatenate([segment.table.span(entry.first_row, entry.rows) for entry in entries])
    slices, vectors = Slices(*(spans[name] for name in Slices._fields)), segment.read(rows)
    members, first = [], 0
    for entry in entries:
        part = slice(first, first + entry.rows)
        content = entry.content or content_key(slices.start_s[part], slices.end_s[part], vectors[part])
        attributes = edited.get(entry.video_id, json.loads(entry.attributes))
        members.append(Member(entry.video_id, content, attributes, entry.rows))
        first += entry.rows
    return Block(members, slices, vectors)
