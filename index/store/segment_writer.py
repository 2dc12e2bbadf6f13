"""Writes the files of a segment."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from .block import Block
from .files import stored_file, storing
from .manifest import Manifest, SegmentRecord
from .table_writer import TableWriter, writing_table
from .vectors import header, write_vectors

__all__ = ["write_segment"]


def write_segment(folder: Path, manifest: Manifest, rows: int, blocks: Iterable[Block]) -> SegmentRecord:
    """Write the next segment, block by block; it belongs to the library once a manifest names it.

    Args:
        folder: the library.
        manifest: has the segment's number, dimension and precision.
        rows: expected in all blocks; where there are others, the vectors are read again for their checksum.
        blocks: its content, at least a row; no video or slice is there twice.

    Returns:
        Its record.

    Raises:
        StorageError: the disk refused the write.
        sqlite3.IntegrityError: a video or slice is there twice.
    """
    stem, precision = f"segments/{manifest.next_segment:06d}", manifest.precision
    with (
        writing_table(folder / f"{stem}.slices.sqlite") as table,
        storing(folder, f"{stem}.vectors.faiss") as file,
    ):
        file.write(header(manifest.dim, precision, rows))
        for block in blocks:
            write_block(table, block)
            write_vectors(file, precision, block.vectors)
        if table.rows != rows:
            file.rewrite_start(header(manifest.dim, precision, table.rows))
    slices = stored_file(folder, f"{stem}.slices.sqlite")
    return SegmentRecord(rows=table.rows, vectors=file.stored, slices=slices)


def write_block(table: TableWriter, block: Block) -> None:
    """Append videos to a table one by one, so that the file does not depend on how they come in blocks."""
    first = 0
    for member in block.members:
        rows = np.arange(first, first + member.rows)
        table.add_slices(block.slices.take(rows), table.rows)
        table.add(*member)
        first += member.rows
