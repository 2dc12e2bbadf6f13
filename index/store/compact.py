"""Compaction: several segments become one, without hidden videos and with edited attributes."""

import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

from sora_video.base.errors import LibraryError

from . import version1
from .attributes import Attributes
from .block import Block, Member
from .manifest import Manifest
from .segment import Segment
from .segment_writer import write_segment
from .snapshot import Snapshot
from .table import Entry, Slices
from .update import content_key, succeed

__all__ = ["block", "compact", "merge_small", "parts_of", "runs_of", "visible_blocks", "whole"]

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
    for segment_no, numbers in parts_of(segments):
        yield block(segments[segment_no], numbers, edited)


def parts_of(segments: Sequence[Segment]) -> Iterator[tuple[int, NDArray[np.int64]]]:
    """The visible videos by rising slice id, in blocks: a segment, and (n,) numbers of videos in it."""
    columns = []
    for segment_no, segment in enumerate(segments):
        first, rows = segment.table.first_slice_ids(), np.diff(segment.first_row)
        part = np.stack([first, np.full_like(first, segment_no), np.arange(len(first)), rows])
        hidden = [entry.number for entry in segment.table.find(segment.record.removed).values()]
        columns.append(np.delete(part, hidden, axis=1))
    found = np.concatenate(columns, axis=1) if columns else np.zeros((4, 0), np.int64)
    _, segment_of, number, rows = found[:, np.argsort(found[0], kind="stable")]
    block_of = (np.cumsum(rows) - rows) // BLOCK_ROWS
    edges = 1 + np.flatnonzero((np.diff(segment_of) != 0) | (np.diff(block_of) != 0))
    for numbers, owner in zip(np.split(number, edges), np.split(segment_of, edges), strict=True):
        if len(numbers):
            yield int(owner[0]), numbers


def runs_of(numbers: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """Numbers of videos as runs of neighbours."""
    return np.split(numbers, 1 + np.flatnonzero(np.diff(numbers) != 1))


def block(segment: Segment, numbers: NDArray[np.int64], edited: Mapping[str, Attributes]) -> Block:
    """Some videos of a segment, to write again; those that lie together are read together."""
    entries: list[Entry] = []
    records, rows = [], []
    for run in runs_of(numbers):
        first, end = segment.first_row[[run[0], run[-1] + 1]].tolist()
        entries += segment.table.entries(int(run[0]), len(run))
        records.append(segment.table.span(first, end - first))
        rows.append(np.arange(first, end))
    spans, vectors = np.concatenate(records), segment.read(np.concatenate(rows))
    slices = Slices(*(spans[name] for name in Slices._fields))
    members, start = [], 0
    for entry in entries:
        part = slice(start, start + entry.rows)
        content = entry.content or content_key(slices.start_s[part], slices.end_s[part], vectors[part])
        attributes = edited.get(entry.video_id, json.loads(entry.attributes))
        members.append(Member(entry.video_id, content, attributes, entry.rows))
        start = part.stop
    return Block(members, slices, vectors)
