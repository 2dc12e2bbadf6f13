"""Tables of embeddings that need not fit into memory: read some megabytes at a time."""

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from .embeddings import Embeddings, from_arrow, part_paths, refuse_mixed, table_errors

__all__ = ["StreamedTable"]

GROUP_BYTES = 2**25
"""Of the vectors that are read at once, except for a longer video."""
BUFFER_BYTES = 2**20
"""Of a column that are read from the disk at once; without it a whole row group is."""
COLUMNS = ("video_id", "slice_no", "start_s", "end_s", "embedding", "still")


class StreamedTable:
    """A table of embeddings on disk, whose rows are read when they are iterated over.

    Each item has whole videos, if the rows of a video lie together in their file.

    Args:
        path: a Parquet file, or a folder of parts.

    Raises:
        CorpusError: a file is missing, or is not such a table.
        FingerprintError: parts are of different encoders.
    """

    def __init__(self, path: Path) -> None:
        self.paths = part_paths(path) if path.is_dir() else [path]
        heads = [head_of(part) for part in self.paths]
        refuse_mixed([head.fingerprint for head, _ in heads], path)
        self.rows = sum(rows for _, rows in heads)
        """Of all parts."""
        self.head = heads[0][0]
        """No rows, with what all have in common."""

    def __iter__(self) -> Iterator[Embeddings]:
        for path in self.paths:
            yield from read_in_pieces(path)


def head_of(path: Path) -> tuple[Embeddings, int]:
    """What all rows of a file have in common, as a table without rows, and the number of rows."""
    with table_errors(path), pq.ParquetFile(path, pre_buffer=False) as file:
        return from_arrow(file.schema_arrow.empty_table()), file.metadata.num_rows


def read_in_pieces(path: Path) -> Iterator[Embeddings]:
    """The rows of a file, no video cut in two."""
    with table_errors(path), pq.ParquetFile(path, pre_buffer=False, buffer_size=BUFFER_BYTES) as file:
        schema = file.schema_arrow
        count = max(1, GROUP_BYTES // (4 * schema.field("embedding").type.list_size))
        wanted = [name for name in COLUMNS if name in schema.names]
        rest = file.schema_arrow.empty_table().select(wanted)
        for batch in file.iter_batches(count, columns=wanted, use_threads=False):
            table = pa.concat_tables([rest, pa.Table.from_batches([batch])])
            names = table["video_id"].to_pylist()
            last = names.index(names[-1])  # the video may go on in the next batch
            if last:
                yield from_arrow(table.slice(0, last).replace_schema_metadata(schema.metadata))
            rest = table.slice(last)
        if len(rest):
            yield from_arrow(rest.replace_schema_metadata(schema.metadata))
