"""One immutable segment of a library: vectors as a FAISS index, and the table of their slices."""

from collections.abc import Set
from functools import cached_property
from io import BytesIO
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from sora_video.configs.storage import read_parquet
from sora_video.pretrain.embeddings import Embeddings

from .manifest import SegmentRecord, store

__all__ = ["Segment", "write_segment"]


class Segment:
    """Both files of a segment, each read and verified when first needed.

    Args:
        folder: the library.
        record: the segment in its manifest; what it says of removed videos is not looked at.
    """

    def __init__(self, folder: Path, record: SegmentRecord) -> None:
        self.folder, self.record = folder, record

    @cached_property
    def table(self) -> pa.Table:
        """The slices: ``slice_id``, ``video_id``, ``slice_no``, ``start_s``, ``end_s``; a row each.

        Raises:
            LibraryError: the file is missing or damaged.
        """
        return read_parquet(BytesIO(self.record.slices.read(self.folder)))

    @cached_property
    def index(self) -> Any:
        """The vectors as a ``faiss.IndexFlatIP``, in the order of :attr:`table`.

        Raises:
            LibraryError: the file is missing or damaged.
        """
        data = self.record.vectors.read(self.folder)  # verified: FAISS does not survive arbitrary bytes
        return faiss.deserialize_index(np.frombuffer(data, np.uint8))

    @cached_property
    def videos(self) -> list[str]:
        """The videos that have rows, sorted."""
        return sorted(set(self.table["video_id"].to_pylist()))

    @cached_property
    def video_no(self) -> NDArray[np.int64]:
        """(rows,) place in :attr:`videos` of each row's video."""
        place = {video_id: number for number, video_id in enumerate(self.videos)}
        return np.array([place[video_id] for video_id in self.table["video_id"].to_pylist()], np.int64)

    @cached_property
    def columns(self) -> dict[str, NDArray[Any]]:
        """(rows,) ``slice_id``, ``start_s`` and ``end_s``."""
        return {name: self.table[name].to_numpy() for name in ("slice_id", "start_s", "end_s")}

    def rows_of(self, videos: Set[str]) -> dict[str, int]:
        """How many rows each of these videos has here; those with none are left out."""
        counts = np.bincount(self.video_no, minlength=len(self.videos)).tolist()
        return {
            video_id: rows for video_id, rows in zip(self.videos, counts, strict=True) if video_id in videos
        }


def write_segment(folder: Path, number: int, embeddings: Embeddings, first_slice_id: int) -> SegmentRecord:
    """Write a segment; it belongs to the library once a manifest names it.

    Args:
        folder: the library.
        number: the segment's.
        embeddings: what it will hold.
        first_slice_id: the slices get ids from here on.

    Returns:
        Its record.

    Raises:
        StorageError: the disk refused the write.
    """
    index = faiss.IndexFlatIP(embeddings.dim)
    index.add(np.ascontiguousarray(embeddings.vectors, np.float32))
    table = pa.table(
        {
            "slice_id": np.arange(first_slice_id, first_slice_id + len(embeddings), dtype=np.int64),
            "video_id": pa.array(embeddings.video_id, pa.string()),
            "slice_no": pa.array(embeddings.slice_no, pa.int32()),
            "start_s": pa.array(embeddings.start_s, pa.float64()),
            "end_s": pa.array(embeddings.end_s, pa.float64()),
        }
    )
    buffer = BytesIO()
    pq.write_table(table, buffer)
    stem = f"segments/{number:06d}"
    return SegmentRecord(
        rows=len(embeddings),
        vectors=store(folder, f"{stem}.faiss", faiss.serialize_index(index).tobytes()),
        slices=store(folder, f"{stem}.parquet", buffer.getvalue()),
    )
