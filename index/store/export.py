"""A library as one Parquet file, and back: ids, times, attributes, contents, vectors and fingerprint.

The file is a table of embeddings too, as ``sora embed`` writes them, with a few columns more.
"""

import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from sora_video.base.errors import LibraryError
from sora_video.base.files import atomic_path
from sora_video.base.kinds import not_there
from sora_video.base.unfinished import sweep
from sora_video.pretrain.encoders.aspects import aspects_from, to_text
from sora_video.pretrain.encoders.embeddings import Embeddings, check_rows, still_column
from sora_video.pretrain.encoders.spec import absolute_spec, near_spec

from .attributes import attributes_from, to_json
from .block import Block, Member
from .compact import visible_blocks, whole
from .files import Checks
from .guard import check_embeddings
from .manifest import Manifest, write_manifest
from .opening import open_snapshot
from .place import appearing
from .refresh import with_whitening
from .segment_writer import write_segment
from .snapshot import Snapshot
from .table import Slices

__all__ = ["export_library", "import_library"]

BATCH_ROWS = 8192
"""Rows read at once."""


def export_library(snapshot: Snapshot, path: Path) -> None:
    """Write all that is visible, by rising slice id.

    Args:
        snapshot: the library.
        path: the Parquet file.

    Raises:
        LibraryError: the file does not end in ``.parquet``, or the library is damaged.
        StorageError: the disk refused the write.
    """
    manifest = snapshot.manifest
    if path.suffix != ".parquet":
        raise LibraryError(f"export {path}: is written as Parquet; choose a name that ends in .parquet")
    whole(snapshot, snapshot.segments)
    metadata = {"next_slice_id": str(manifest.next_slice_id), "precision": manifest.precision}
    model = None if manifest.model is None else absolute_spec(manifest.model, snapshot.folder.resolve())
    hints = {"model": model, "root": manifest.root}
    metadata |= {name: hint for name, hint in hints.items() if hint is not None}
    if manifest.aspects:
        metadata["aspects"] = to_text(manifest.aspects)
    schema = pa.schema(
        {
            "video_id": pa.string(),
            "slice_no": pa.int32(),
            "start_s": pa.float64(),
            "end_s": pa.float64(),
            "embedding": pa.list_(pa.float32(), manifest.dim),
            "still": pa.bool_(),
            "slice_id": pa.int64(),
            "content": pa.string(),
            "attributes": pa.string(),
        },
        metadata={"fingerprint": manifest.fingerprint, **metadata},
    )
    sweep(path.parent, path.name)
    with atomic_path(path) as beside, pq.ParquetWriter(beside, schema) as file:
        for block in visible_blocks(snapshot.segments, snapshot.edits()):
            file.write_table(to_table(block, schema))


def to_table(block: Block, schema: pa.Schema) -> pa.Table:
    """Some videos as rows of the file."""
    rows = [member.rows for member in block.members]
    columns = {
        "video_id": np.repeat(np.array([member.video_id for member in block.members], object), rows),
        "content": np.repeat(np.array([member.content for member in block.members], object), rows),
        "attributes": np.repeat(np.array([to_json(m.attributes) for m in block.members], object), rows),
        **block.slices._asdict(),
    }
    flat = pa.array(block.vectors.ravel(), pa.float32())
    arrays = {
        field.name: pa.FixedSizeListArray.from_arrays(flat, block.vectors.shape[1])
        if field.name == "embedding"
        else pa.array(columns[field.name], field.type)
        for field in schema
    }
    return pa.table(arrays, schema=schema)


def import_library(path: str | Path, source: str | Path) -> Path:
    """Make a library from an exported file; it appears whole or not at all.

    Args:
        path: the library's folder; it must not exist, or be empty.
        source: the Parquet file.

    Returns:
        The folder, absolute.

    Raises:
        LibraryError: the folder is not empty, or the file is not an export of a library.
        StorageError: the disk refused the write.
    """
    folder, source = Path(path).expanduser().resolve(), Path(source).expanduser()
    with appearing(folder) as beside:
        try:
            with pq.ParquetFile(source, pre_buffer=False) as file:
                manifest, rows = to_manifest(file.schema_arrow, beside), file.metadata.num_rows
                if rows:
                    record = write_segment(beside, manifest, rows, read_blocks(file, manifest))
                    manifest = replace(manifest, segments=(record,), next_segment=manifest.next_segment + 1)
        except (pa.ArrowException, OSError, sqlite3.Error, LookupError, TypeError, ValueError) as error:
            unknown = f"is not an exported library: {error}" if source.exists() else "no such file"
            reason = not_there(source, "an exported library", unknown)
            raise LibraryError(f"import {source}: {reason}; export one, or use `sora index build`") from error
        write_manifest(beside, with_whitening(open_snapshot(Checks(beside), manifest)))
    return folder


def to_manifest(schema: pa.Schema, folder: Path) -> Manifest:
    """An empty library, in a folder, of the kind that was exported."""
    metadata = {key.decode(): value.decode() for key, value in (schema.metadata or {}).items()}
    model = metadata.get("model")
    return Manifest(
        fingerprint=metadata["fingerprint"],
        dim=schema.field("embedding").type.list_size,
        precision=metadata["precision"],
        model=None if model is None else near_spec(model, folder),
        root=metadata.get("root"),
        next_slice_id=int(metadata["next_slice_id"]),
        aspects=aspects_from(metadata["aspects"]) if "aspects" in metadata else (),
    )


def read_blocks(file: pq.ParquetFile, manifest: Manifest) -> Iterator[Block]:
    """The rows of the file, no video cut in two."""
    rest = file.schema_arrow.empty_table()
    for batch in file.iter_batches(BATCH_ROWS, use_threads=False):
        table = pa.concat_tables([rest, pa.Table.from_batches([batch])])
        names = table["video_id"].to_pylist()
        last = names.index(names[-1])  # the video may go on in the next batch
        if last:
            yield to_block(table.slice(0, last), manifest)
        rest = table.slice(last)
    yield to_block(rest, manifest)


def to_block(table: pa.Table, manifest: Manifest) -> Block:
    """Some videos of the file, verified as :meth:`sora_video.index.library.Library.add` does."""
    names = np.array(table["video_id"].to_pylist(), object)
    known = {name: table[name].to_numpy() for name in Slices._fields if name != "still"}
    slices = Slices(**known, still=still_column(table))
    flat = table["embedding"].combine_chunks().flatten()
    vectors = flat.to_numpy(zero_copy_only=False).reshape(len(table), manifest.dim)
    embeddings = Embeddings(
        video_id=names, vectors=vectors, fingerprint=manifest.fingerprint, **columns_of(slices)
    )
    check_rows(embeddings)
    check_embeddings(embeddings, "the file", manifest)
    if not 0 <= slices.slice_id.min() <= slices.slice_id.max() < manifest.next_slice_id:
        raise ValueError(f"slice ids are not below {manifest.next_slice_id}")
    first = np.flatnonzero(np.r_[True, names[1:] != names[:-1]])
    rows = np.diff(np.r_[first, len(names)]).tolist()
    members = []
    for row, count in zip(first.tolist(), rows, strict=True):
        attributes = attributes_from(table["attributes"][row].as_py())
        members.append(Member(names[row], table["content"][row].as_py(), attributes, count))
    return Block(members, slices, vectors)


def columns_of(slices: Slices) -> dict[str, Any]:
    """The columns that embeddings have too."""
    return {name: column for name, column in slices._asdict().items() if name != "slice_id"}
