"""The vectors of a segment: a FAISS file that is searched exactly and read from, mapped into memory.

The file is what ``faiss.write_index`` makes of an ``IndexFlatIP`` (fp32) or of an ``IndexScalarQuantizer`` of
type ``QT_fp16`` (fp16). Both end in the plain vectors, so that it is written block by block and no library
has to fit into memory to be compacted.
"""

import ctypes
import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import faiss
import numpy as np
from numpy.typing import NDArray

from sora_video.base.errors import LibraryError

from .files import FileWriter

__all__ = ["PRECISIONS", "attach", "open_index", "open_vectors", "silent", "write_header", "write_vectors"]

FAISS: Any = faiss  # its stubs know its C++ signatures, not those of its Python wrappers

PRECISIONS = {"fp32": np.float32, "fp16": np.float16}
"""How a library may keep its vectors."""


def write_header(file: FileWriter, dim: int, precision: str, rows: int) -> None:
    """Begin a file of ``rows`` vectors: an empty index's bytes, with its two counts filled in.

    Args:
        file: to write to, empty.
        dim: of the vectors.
        precision: one of :data:`PRECISIONS`.
        rows: vectors that will follow.
    """
    if precision == "fp32":
        index, unit = FAISS.IndexFlatIP(dim), 4  # counts its numbers
    else:
        index = FAISS.IndexScalarQuantizer(dim, FAISS.ScalarQuantizer.QT_fp16, FAISS.METRIC_INNER_PRODUCT)
        index.train(np.zeros((1, dim), np.float32))
        unit = 1  # counts its bytes
    empty = FAISS.serialize_index(index).tobytes()
    size = rows * index.sa_code_size() // unit
    file.write(empty[:8] + struct.pack("<q", rows) + empty[16:-8] + struct.pack("<Q", size))


def write_vectors(file: FileWriter, precision: str, vectors: NDArray[np.float32]) -> None:
    """Append (n, D) vectors."""
    file.write(np.ascontiguousarray(vectors, PRECISIONS[precision]).tobytes())


def open_vectors(path: Path, rows: int, order: NDArray[np.int64] | None = None) -> Any:
    """Map a file of vectors into memory.

    Args:
        path: verified, for FAISS does not survive arbitrary bytes.
        rows: vectors it has to hold.
        order: (rows,) copy them into memory in this order instead.

    Returns:
        The FAISS index; it stays whole when the file is deleted.

    Raises:
        LibraryError: it is no such file.
    """
    index = read(path, FAISS.IO_FLAG_MMAP_IFC)
    if not isinstance(index, FAISS.IndexFlatCodes) or index.ntotal != rows:
        raise LibraryError(f"is damaged: it does not hold {rows} plain vectors")
    if order is None:
        return index
    ordered = FAISS.IndexFlatIP(index.d)
    ordered.add(index.reconstruct_batch(order))
    return ordered


def open_index(path: Path, vectors: Any, lists: bool = False) -> Any:
    """Read an approximate index over ``vectors``, which it must match in number and dimension.

    Args:
        path: verified.
        vectors: of the segment.
        lists: whether its inverted lists lie in a file of their own beside it.

    Raises:
        LibraryError: it does not.
    """
    if lists:
        with silent():
            index = read(path, FAISS.IO_FLAG_ONDISK_SAME_DIR)
    else:
        index = read(path, FAISS.IO_FLAG_MMAP_IFC)
    if (index.ntotal, index.d) != (vectors.ntotal, vectors.d):
        raise LibraryError("is damaged: it does not belong to the segment's vectors")
    return attach(index, vectors)


def read(path: Path, flags: int) -> Any:
    """Read a FAISS file with ``IO_FLAG_...`` flags."""
    try:
        with limits(path.stat().st_size):
            return FAISS.read_index(str(path), flags | FAISS.IO_FLAG_SKIP_PRECOMPUTE_TABLE)
    except (RuntimeError, OSError) as error:
        reason = " ".join(str(error).split())
        raise LibraryError(f"is damaged: FAISS cannot read it: {reason}") from error


@contextmanager
def limits(size: int) -> Iterator[None]:
    """Let FAISS ask for no more memory than a file of ``size`` bytes can fill, and for no more rounds."""
    before = FAISS.get_deserialization_vector_byte_limit(), FAISS.get_deserialization_loop_limit()
    FAISS.set_deserialization_vector_byte_limit(size)
    FAISS.set_deserialization_loop_limit(size)
    try:
        yield
    finally:
        FAISS.set_deserialization_vector_byte_limit(before[0])
        FAISS.set_deserialization_loop_limit(before[1])


@contextmanager
def silent() -> Iterator[None]:
    """Drop what FAISS tells on standard output, which belongs to the command, of lists on the disk."""
    flush = ctypes.CDLL(None).fflush
    flush(None)
    before, nowhere = os.dup(1), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    try:
        yield
    finally:
        flush(None)
        os.dup2(before, 1)
        os.close(before)
        os.close(nowhere)


def attach(index: Any, vectors: Any) -> Any:
    """Give an HNSW that was read back the vectors it was written without; others are as they are."""
    if isinstance(index, FAISS.IndexHNSW) and index.storage is None:
        index.storage, index.own_fields = vectors, False
        index.referenced_objects = [vectors]
    return index
