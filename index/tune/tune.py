"""Writes the index that measurement chose for each segment, and builds one again that was damaged."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import faiss

from sora_video.base.files import atomic_path

from ..store.files import StoredFile, stored_file, storing
from ..store.kinds import stored_kind
from ..store.manifest import SCRATCH, BuiltIndex, Manifest, SegmentRecord
from ..store.segment import Segment
from ..store.snapshot import Snapshot
from ..store.source import Source
from ..store.update import succeed
from .choose import choose_index
from .on_disk import SEGMENT_BLOCK, build_on_disk
from .target import Target

__all__ = ["rebuild", "tune", "write_index"]

FAISS: Any = faiss  # its stubs know its C++ signatures, not those of its Python wrappers


def tune(snapshot: Snapshot, target: Target) -> Manifest:
    """Choose, build and write an index for every whole segment.

    Args:
        snapshot: the library as it is, best compacted: memory and latency are divided by slices.
        target: what the indexes must reach together.

    Returns:
        The manifest to commit.

    Raises:
        LibraryError: for a segment no index reaches it.
        StorageError: the disk refused the write.
    """
    rows = sum(segment.record.rows for segment in snapshot.searchable)
    records = [
        choose(snapshot, segment, shared(target, segment.record.rows / rows))
        if segment.searchable
        else segment.record
        for segment in snapshot.segments
    ]
    return succeed(snapshot, records, snapshot.edited)


def shared(target: Target, share: float) -> Target:
    """The part of a target for a share of the slices."""
    return replace(
        target,
        memory=target.memory and max(int(target.memory * share), 1),
        latency_ms=target.latency_ms and target.latency_ms * share,
    )


def choose(snapshot: Snapshot, segment: Segment, target: Target) -> SegmentRecord:
    """A segment's record with the index that was chosen for it."""
    stem = f"segments/{snapshot.manifest.next_segment:06d}.{segment.record.name}"
    with TemporaryDirectory(dir=snapshot.folder / "segments", prefix=SCRATCH) as scratch:
        chosen = choose_index(segment, target, Path(scratch))
        built = BuiltIndex(
            file=None,
            kind=chosen.kind.name,
            settings=chosen.kind.sizes,
            parameters=chosen.best.parameters,
            curve=[point.as_json() for point in chosen.curve],
            seed=target.seed,
        )
        if chosen.index is not segment.vectors:
            file, lists = write(snapshot.folder, stem, chosen.index, chosen.lists_file)
            built = replace(built, file=file, lists=lists)
    return replace(segment.record, index=built)


def write(
    folder: Path, stem: str, index: Any, lists_file: Path | None
) -> tuple[StoredFile, StoredFile | None]:
    """Write an index, and move its inverted lists to their place where they lie on the disk."""
    lists = None
    if lists_file is not None:
        name = f"{stem}.ivfdata"
        with atomic_path(folder / name) as path:
            lists_file.rename(path)
        FAISS.downcast_InvertedLists(FAISS.extract_index_ivf(index).invlists).filename = str(folder / name)
        lists = stored_file(folder, name)
    with storing(folder, f"{stem}.index.faiss") as writer:
        write_index(index, writer.write)
    return writer.stored, lists


def write_index(index: Any, write: Callable[[bytes], None]) -> None:
    """Write an index; a graph without the vectors, which the segment has.

    Args:
        index: the FAISS index.
        write: is called with its bytes, part by part.
    """
    FAISS.write_index(index, FAISS.PyCallbackIOWriter(write), FAISS.IO_FLAG_SKIP_STORAGE)


def rebuild(snapshot: Snapshot, segment: Segment) -> SegmentRecord:
    """Build a segment's damaged index again, of the same kind, seed and parameters.

    Args:
        snapshot: the library as it is.
        segment: one whose vectors are whole.

    Returns:
        The segment's record with the new files.

    Raises:
        LibraryError: the kind of the index is unknown.
        StorageError: the disk refused the write.
    """
    record = segment.record
    if record.index is None:
        return record
    stem = f"segments/{snapshot.manifest.next_segment:06d}.{record.name}"
    kind, source = stored_kind(record.name, record.index), Source(segment.vectors, record.index.seed)
    with TemporaryDirectory(dir=snapshot.folder / "segments", prefix=SCRATCH) as scratch:
        if record.index.lists is None:
            index, lists_file = kind.build(source), None
        else:
            lists_file = Path(scratch) / "lists.ivfdata"
            index = build_on_disk(kind, source, lists_file, SEGMENT_BLOCK)
        file, lists = write(snapshot.folder, stem, index, lists_file)
    return replace(record, index=replace(record.index, file=file, lists=lists))
