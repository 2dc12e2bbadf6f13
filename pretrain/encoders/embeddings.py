"""Embeddings of slices as a table, and its Parquet file."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from sora_video.base.errors import CorpusError, FingerprintError
from sora_video.base.files import atomic_path, read_parquet
from sora_video.base.kinds import PARTS, not_there
from sora_video.base.unfinished import sweep
from sora_video.pretrain.video.quarantine import Failure

from .aspects import Aspect, aspects_from, check_aspects, find_aspect, to_text
from .checks import check_slices, check_video_id

__all__ = [
    "Embeddings",
    "check_rows",
    "from_arrow",
    "is_parts",
    "join",
    "part_paths",
    "read_embeddings",
    "refuse_mixed",
    "still_column",
    "table_errors",
    "to_arrow",
    "write_embeddings",
]

COLUMNS = ("video_id", "slice_no", "start_s", "end_s", "vectors", "still")
VIDEOS = b"videos"
"""Where a file's metadata has the folder of the videos."""
MODEL = b"model"
"""Where it has the spec of the encoder."""
ASPECTS = b"aspects"
"""Where it has the aspects of the embeddings."""


@dataclass(frozen=True, kw_only=True)
class Embeddings:
    """One row a slice.

    Raises:
        ValueError: the columns differ in length, or an aspect is none of these vectors.
    """

    video_id: NDArray[np.object_]
    """(N,) which video."""
    slice_no: NDArray[np.int32]
    """(N,) number of the slice within its video, from 0."""
    start_s: NDArray[np.float64]
    """(N,) start of the slice in seconds."""
    end_s: NDArray[np.float64]
    """(N,) end of the slice in seconds, not past the video's."""
    vectors: NDArray[np.float32]
    """(N, D) L2-normalised embeddings."""
    still: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, np.bool_))
    """(N,) whether a slice shows nothing, see :mod:`sora_video.pretrain.video.still`; left out: none does."""
    fingerprint: str
    """Of the encoder that made them."""
    failures: tuple[Failure, ...] = ()
    """Videos of the corpus that could not be read and have no rows."""
    root: str | None = None
    """Folder below which the videos lie by their names; None: unknown."""
    aspects: tuple[Aspect, ...] = ()
    """Spans of the vectors that they can be compared by alone, such as look and motion."""
    model: str | None = None
    """Spec of the encoder, absolute; None: unknown."""

    def __post_init__(self) -> None:
        if not len(self.still):
            object.__setattr__(self, "still", np.zeros(len(self.slice_no), np.bool_))
        lengths = {name: len(getattr(self, name)) for name in COLUMNS}
        if len(set(lengths.values())) > 1 or self.vectors.ndim != 2:
            raise ValueError(f"got columns of {lengths} rows and {self.vectors.shape = }")
        check_aspects(self.aspects, self.dim)

    def __len__(self) -> int:
        return len(self.slice_no)

    @property
    def dim(self) -> int:
        """Dimension of the vectors, D."""
        return int(self.vectors.shape[1])

    def videos(self) -> list[str]:
        """The videos that have rows, in order of appearance."""
        return list(dict.fromkeys(self.video_id.tolist()))

    def select(self, rows: NDArray[np.bool_] | NDArray[np.int64] | Sequence[int]) -> "Embeddings":
        """Some of the rows.

        Args:
            rows: (N,) mask, or (n,) row numbers in the order to return.
        """
        return replace(self, **{name: getattr(self, name)[rows] for name in COLUMNS})

    def alone(self, by: str) -> "Embeddings":
        """The same slices by one aspect alone, as the encoder embeds them by it.

        Args:
            by: name of the aspect.

        Returns:
            As many rows of as many dimensions, 0 outside of the aspect's span.

        Raises:
            ConfigError: there is no such aspect.
        """
        aspect = find_aspect(by, self.aspects, "the table of embeddings")
        return replace(self, vectors=aspect.alone(self.vectors))


def check_rows(embeddings: Embeddings) -> None:
    """Refuse names, numbers and times that no slice has.

    Args:
        embeddings: of any videos.

    Raises:
        ValueError: there is one; see :func:`check_video_id` and :func:`check_slices`.
    """
    numbers: dict[str, int] = {}
    video = [numbers.setdefault(name, len(numbers)) for name in embeddings.video_id.tolist()]
    for name in numbers:
        check_video_id(name)
    check_slices(np.array(video, np.int64), embeddings.slice_no, embeddings.start_s, embeddings.end_s)


def write_embeddings(embeddings: Embeddings, path: Path) -> None:
    """Write embeddings as Parquet, atomically, with the fingerprint in the file's metadata.

    Args:
        embeddings: of any number of rows.
        path: the file; it is replaced if it exists.

    Raises:
        StorageError: the disk refused the write.
    """
    table = to_arrow(embeddings)
    sweep(path.parent, path.name)
    with atomic_path(path) as beside:
        pq.write_table(table, beside)


def to_arrow(embeddings: Embeddings) -> pa.Table:
    """Embeddings as a table of Arrow, what all rows have in common in its metadata.

    Args:
        embeddings: of any number of rows.
    """
    flat = pa.array(embeddings.vectors.ravel(), pa.float32())
    table = pa.table(
        {
            "video_id": pa.array(embeddings.video_id, pa.string()),
            "slice_no": pa.array(embeddings.slice_no, pa.int32()),
            "start_s": pa.array(embeddings.start_s, pa.float64()),
            "end_s": pa.array(embeddings.end_s, pa.float64()),
            "embedding": pa.FixedSizeListArray.from_arrays(flat, embeddings.dim),
            "still": pa.array(embeddings.still, pa.bool_()),
        }
    )
    metadata = {b"fingerprint": embeddings.fingerprint.encode()}
    if embeddings.root is not None:
        metadata[VIDEOS] = os.fsencode(embeddings.root)
    if embeddings.model is not None:
        metadata[MODEL] = os.fsencode(embeddings.model)
    if embeddings.aspects:
        metadata[ASPECTS] = to_text(embeddings.aspects).encode()
    return table.replace_schema_metadata(metadata)


def read_embeddings(path: Path) -> Embeddings:
    """Read embeddings that :func:`write_embeddings` wrote, or a folder of parts, see :mod:`.parts`.

    Args:
        path: the Parquet file, or the folder.

    Raises:
        CorpusError: the file is missing, or is not such a table.
        FingerprintError: parts are of different encoders.
    """
    if path.is_dir():
        return join([read_table(part) for part in part_paths(path)], path)
    return read_table(path)


def is_parts(path: Path) -> bool:
    """Whether a path is a folder of parts of a table.

    Args:
        path: of a file or folder.
    """
    return path.is_dir() and bool(part_paths(path))


def part_paths(folder: Path) -> list[Path]:
    """The parts of a table in a folder, in the order in which they were written.

    Args:
        folder: that has some, or none.
    """
    return sorted(folder.glob(PARTS))


def join(tables: Sequence[Embeddings], path: Path) -> Embeddings:
    """Tables of different videos as one.

    Args:
        tables: of one encoder.
        path: where they are from, for errors.

    Raises:
        CorpusError: there are none.
        FingerprintError: they are of different encoders.
    """
    if not tables:
        reason = not_there(path, "a folder of embeddings", "is a folder without embeddings")
        raise CorpusError(f"embeddings {path}: {reason}; make some with `sora embed`")
    first = tables[0]
    refuse_mixed([table.fingerprint for table in tables], path)
    columns: dict[str, Any] = {
        name: np.concatenate([getattr(table, name) for table in tables]) for name in COLUMNS
    }
    return replace(first, **columns)


def refuse_mixed(fingerprints: Sequence[str], path: Path) -> None:
    """Refuse parts of a table that are of different encoders.

    Args:
        fingerprints: of the parts.
        path: of their folder.

    Raises:
        FingerprintError: they differ.
    """
    for fingerprint in fingerprints:
        if fingerprint != fingerprints[0]:
            raise FingerprintError(
                f"a part of {path}", fingerprint, fingerprints[0], "keep one encoder's parts together"
            )


def still_column(table: pa.Table) -> NDArray[np.bool_]:
    """Which rows of a table show nothing; none where an older version wrote it.

    Args:
        table: of embeddings.
    """
    if "still" not in table.column_names:
        return np.zeros(len(table), np.bool_)
    still: NDArray[np.bool_] = table["still"].to_numpy().astype(np.bool_)
    return still


def read_table(path: Path) -> Embeddings:
    """Read one file."""
    with table_errors(path):
        return from_arrow(read_parquet(path))


@contextmanager
def table_errors(path: Path) -> Iterator[None]:
    """Say what lies at a path of which the block cannot read a table of embeddings.

    Args:
        path: of the file.

    Raises:
        CorpusError: the block cannot read it.
    """
    try:
        yield
    except (pa.ArrowException, OSError, KeyError, TypeError, ValueError, AttributeError) as error:
        reason = not_there(path, "an embeddings file", f"no table of embeddings: {error}")
        raise CorpusError(f"embeddings {path}: {reason}; make one with `sora embed`") from error


def from_arrow(table: pa.Table) -> Embeddings:
    """Embeddings from a table as :func:`to_arrow` makes it.

    Args:
        table: its columns and metadata; further ones are ignored.

    Raises:
        KeyError: a column or the fingerprint is missing.
        ValueError: a value is none of an embedding's.
    """
    flat, metadata = table["embedding"].combine_chunks(), table.schema.metadata or {}
    embeddings = Embeddings(
        video_id=np.array(table["video_id"].to_pylist(), dtype=object),
        slice_no=table["slice_no"].to_numpy(),
        start_s=table["start_s"].to_numpy(),
        end_s=table["end_s"].to_numpy(),
        vectors=flat.flatten().to_numpy(zero_copy_only=False).reshape(len(table), flat.type.list_size),
        still=still_column(table),
        fingerprint=metadata[b"fingerprint"].decode(),
        root=os.fsdecode(metadata[VIDEOS]) if VIDEOS in metadata else None,
        aspects=aspects_from(metadata[ASPECTS].decode()) if ASPECTS in metadata else (),
        model=os.fsdecode(metadata[MODEL]) if MODEL in metadata else None,
    )
    check_rows(embeddings)
    return embeddings
