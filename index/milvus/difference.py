"""What has to be done for a library in Milvus to be equal to a folder."""

import json
from collections.abc import Iterator, Sequence
from itertools import groupby, islice
from operator import itemgetter
from typing import Any, NamedTuple

from ..store.compact import parts_of, runs_of
from ..store.segment import Segment
from ..store.snapshot import Snapshot
from ..store.table import Entry
from .collection import Collection
from .filters import visible
from .rows import VIDEO, pack, unpack

__all__ = ["Difference", "Part", "commits", "compare"]

VIDEOS_A_COMMIT = 256
"""Most videos that one commit adds, replaces or removes; names of the latter are in a property."""
ROWS_A_COMMIT = 1 << 16


class Part(NamedTuple):
    """A visible video of a folder."""

    first_slice_id: int
    segment_no: int
    entry: Entry


class Known(NamedTuple):
    """What tells whether a video is the same here and there."""

    content: str
    first_slice_id: int
    slices: int
    attributes: dict[str, Any]
    is_whole: bool
    """Whether it has all of its rows there."""


class Difference(NamedTuple):
    """What has to be done for a library in Milvus to be equal to a folder."""

    changed: list[Part]
    """Videos to write, by rising slice id."""
    replaced: dict[str, int]
    """Those of them that are there, with the slices that they have there."""
    removed: dict[str, int]
    """Those that are there alone, with their slices."""


def compare(collection: Collection, snapshot: Snapshot) -> Difference:
    """Compare a folder with a library in Milvus.

    Args:
        collection: the library in Milvus.
        snapshot: of the folder.

    Raises:
        LibraryError: the server is away, or the folder's attributes are damaged.
    """
    held, edited = held_videos(collection), snapshot.edits()
    changed, replaced = [], {}
    for part in videos_of(snapshot.segments):
        name = part.entry.video_id
        there = held.pop(name, None)
        stored = edited[name] if name in edited else json.loads(part.entry.attributes)
        if there is None or not is_same(there, part, unpack(pack(stored))):
            changed.append(part)
            if there is not None:
                replaced[name] = there.slices
    return Difference(changed, replaced, {name: known.slices for name, known in sorted(held.items())})


def videos_of(segments: Sequence[Segment]) -> Iterator[Part]:
    """The visible videos of a folder by rising slice id."""
    first = [segment.table.first_slice_ids() for segment in segments]
    for segment_no, numbers in parts_of(segments):
        for run in runs_of(numbers):
            for entry in segments[segment_no].table.entries(int(run[0]), len(run)):
                yield Part(int(first[segment_no][entry.number]), segment_no, entry)


def held_videos(collection: Collection) -> dict[str, Known]:
    """The videos that are committed; where rows were lost, all rows are counted."""
    connection, state, committed = collection.connection, collection.state, visible(collection.state)
    is_whole = connection.count(collection.name, committed) == state.slices
    expression = f"{committed} and position == 0" if is_whole else committed
    rows = connection.rows(collection.name, expression, [*VIDEO, "slice_id"])
    held = {}
    for name, group in groupby(rows, itemgetter("video_id")):
        first, *others = group
        held[name] = Known(
            content=first["content"],
            first_slice_id=first["slice_id"],
            slices=first["slices"],
            attributes=unpack(first["attributes"]),
            is_whole=is_whole or 1 + len(others) == first["slices"],
        )
    return held


def is_same(there: Known, part: Part, attributes: dict[str, Any]) -> bool:
    """Whether a video is the same here and there; libraries of version 1 do not know their contents."""
    same_content = there.is_whole and part.entry.content in ("", there.content)
    numbers = there.first_slice_id, there.slices
    return (
        same_content and numbers == (part.first_slice_id, part.entry.rows) and there.attributes == attributes
    )


def commits(difference: Difference) -> Iterator[tuple[list[Part], dict[str, int]]]:
    """What is done commit by commit.

    Args:
        difference: all that has to be done.

    Yields:
        Videos to write, and those whose earlier rows are retired with their numbers of slices.
    """
    for parts in batches(difference.changed):
        names = [part.entry.video_id for part in parts]
        yield parts, {name: difference.replaced[name] for name in names if name in difference.replaced}
    removed = iter(difference.removed.items())
    while part := dict(islice(removed, VIDEOS_A_COMMIT)):
        yield [], part


def batches(parts: list[Part]) -> Iterator[list[Part]]:
    """Videos as they are committed together."""
    pending: list[Part] = []
    for part in parts:
        rows = part.entry.rows + sum(other.entry.rows for other in pending)
        if pending and (len(pending) == VIDEOS_A_COMMIT or rows > ROWS_A_COMMIT):
            yield pending
            pending = []
        pending.append(part)
    if pending:
        yield pending
