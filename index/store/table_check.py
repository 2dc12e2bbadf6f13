"""Refuses tables with content that no correct writer writes."""

from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from sora_video.pretrain.encoders.checks import check_slices, check_video_id

from .attributes import attributes_from
from .files import DamagedError
from .sqlite import sqlite_errors
from .table import Entry, Table

__all__ = ["check_table"]

BLOCK_ROWS = 1 << 16
"""Slices that are checked at once, except for a longer video."""


def check_table(table: Table) -> None:
    """Read all, and refuse values that a correct writer does not write.

    Args:
        table: whose values may be any that SQLite takes.

    Raises:
        DamagedError: a video has no name or rows, or a time or number is out of range.
    """
    if not 1 <= table.videos <= table.rows:
        raise DamagedError(f"is damaged: {table.videos} videos of {table.rows} rows")
    number = end = 0
    with sqlite_errors(table.path):
        for videos in in_blocks(table.entries()):
            for entry in videos:
                if (entry.number, entry.first_row) != (number, end) or entry.rows < 1:
                    raise DamagedError("is damaged: it has a video without rows, or rows without a video")
                check_video_id(entry.video_id)
                attributes_from(entry.attributes)
                number, end = number + 1, end + entry.rows
            check_slices_of(table, videos)
    if (number, end) != (table.videos, table.rows):
        raise DamagedError("is damaged: it has a video without rows, or rows without a video")


def check_slices_of(table: Table, videos: Sequence[Entry]) -> None:
    """Refuse slices of some neighbouring videos that no video has."""
    rows = [entry.rows for entry in videos]
    slices = table.span(videos[0].first_row, sum(rows))
    if (slices["slice_id"] < 0).any():
        raise DamagedError("is damaged: it has a slice whose id is negative")
    video = np.repeat(np.arange(len(rows)), rows)
    check_slices(video, slices["slice_no"], slices["start_s"], slices["end_s"])


def in_blocks(entries: Iterable[Entry]) -> Iterator[list[Entry]]:
    """Videos, some at a time, whose slices are read together."""
    block: list[Entry] = []
    rows = 0
    for entry in entries:
        block.append(entry)
        rows += entry.rows
        if rows >= BLOCK_ROWS:
            yield block
            block, rows = [], 0
    if block:
        yield block
