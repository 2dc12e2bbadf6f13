"""The vectors of a segment: a FAISS file that is searched exactly and read from, mapped into memory.

The file is what ``faiss.write_index`` makes of an ``IndexFlatIP`` (fp32) or of an ``IndexScalarQuantizer`` of
type ``QT_fp16`` (fp16). Both end in the plain vectors, so that it is written block by block and no library
has to fit into memory to be compacted.
"""

import ctypes
import errno
import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import faiss
import numpy as np
from numpy.typing import NDArray

from .files import DamagedError, FileWriter, access_errors
from .kinds import IndexKind

__all__ = ["PRECISIONS", "header", "open_index", "open_vectors", "silent", "write_vectors"]

FAISS: Any = faiss  # its stubs know its C++ signatures, not those of its Python wrappers

PRECISIONS = {"fp32": np.float32, "fp16": np.float16}
"""Number formats in which a library stores its vectors."""
REFUSALS = (
    errno.ENOENT,
    errno.EMFILE,
    errno.ENFILE,
    errno.ENOMEM,
    errno.EACCES,
    errno.EPERM,
    errno.EAGAIN,
    errno.EIO,
)
"""Errors of the operating system that FAISS quotes."""


def header(dim: int, precision: str, rows: int) -> bytes:
    """The start of a file of ``rows`` vectors: an empty index's bytes, with its two counts filled in.

    Args:
        dim: of the vectors.
        precision: one of :data:`PRECISIONS`.
        rows: vectors that follow.

    Returns:
        As many bytes for any number of vectors.
    """
    if precision == "fp32":
        index, unit = FAISS.IndexFlatIP(dim), 4  # counts its numbers
    else:
        index = FAISS.IndexScalarQuantizer(dim, FAISS.ScalarQuantizer.QT_fp16, FAISS.METRIC_INNER_PRODUCT)
        index.train(np.zeros((1, dim), np.float32))
        unit = 1  # counts its bytes
    empty = FAISS.serialize_index(index).tobytes()
    size = rows * index.sa_code_size() // unit
    return bytes(empty[:8] + struct.pack("<q", rows) + empty[16:-8] + struct.pack("<Q", size))


def write_vectors(file: FileWriter, precision: str, vectors: NDArray[np.float32]) -> None:
    """Append vectors.

    Args:
        file: after its :func:`header`.
        precision: one of :data:`PRECISIONS`, as in the header.
        vectors: (n, D).
    """
    file.write(np.ascontiguousarray(vectors, PRECISIONS[precision]).tobytes())


def open_vectors(path: Path, rows: int, dim: int, order: NDArray[np.int64] | None = None) -> Any:
    """Map a file of vectors into memory.

    Args:
        path: verified, for FAISS does not survive arbitrary bytes.
        rows: vectors it has to hold.
        dim: of these vectors.
        order: (rows,) copy them into memory in this order instead.

    Returns:
        The FAISS index; it stays whole when the file is deleted.

    Raises:
        DamagedError: it is not such a file.
        LibraryError: it cannot be read now.
    """
    index = read(path, FAISS.IO_FLAG_MMAP_IFC)
    if not plain(index) or (index.ntotal, index.d) != (rows, dim):
        raise DamagedError(f"is damaged: it does not hold {rows} plain vectors of dim={dim}")
    if order is None:
        return index
    ordered = FAISS.IndexFlatIP(index.d)
    ordered.add(index.reconstruct_batch(order))
    return ordered


def plain(index: Any) -> bool:
    """Whether an index is one of those that :func:`header` starts, with all its vectors."""
    if isinstance(index, FAISS.IndexScalarQuantizer):
        width = 2 if index.sq.qtype == FAISS.ScalarQuantizer.QT_fp16 else 0
    else:
        width = 4 if isinstance(index, FAISS.IndexFlat) else 0
    size = width * index.d
    inner = index.metric_type == FAISS.METRIC_INNER_PRODUCT
    return bool(width and inner and index.code_size == size and index.codes.size() == index.ntotal * size)


def open_index(path: Path, kind: IndexKind, vectors: Any, lists: bool = False) -> Any:
    """Read an approximate index over ``vectors``, which it must match in number and dimension.

    Args:
        path: verified.
        kind: of the index.
        vectors: of the segment.
        lists: whether its inverted lists lie in a file of their own beside it.

    Raises:
        DamagedError: it does not, or it is of another kind.
        LibraryError: it cannot be read now.
    """
    if lists:
        with silent():
            index = read(path, FAISS.IO_FLAG_ONDISK_SAME_DIR)
    else:
        index = read(path, FAISS.IO_FLAG_MMAP_IFC)
    if (index.ntotal, index.d) != (vectors.ntotal, vectors.d):
        raise DamagedError("is damaged: it does not belong to the segment's vectors")
    if index.metric_type != FAISS.METRIC_INNER_PRODUCT:
        raise DamagedError("is damaged: it has another metric")
    check_place(index, path)
    kind.check(index)
    return kind.attach(index, vectors)


def check_place(index: Any, path: Path) -> None:
    """Refuse an inverted file whose lists lie in another folder.

    Raises:
        DamagedError: they do.
    """
    ivf = FAISS.try_extract_index_ivf(index)
    lists = None if ivf is None else FAISS.downcast_InvertedLists(ivf.invlists)
    if isinstance(lists, FAISS.OnDiskInvertedLists) and Path(lists.filename).parent != path.parent:
        raise DamagedError("is damaged: its lists lie elsewhere")


def read(path: Path, flags: int) -> Any:
    """Read a FAISS file with ``IO_FLAG_...`` flags."""
    with access_errors(path), limits(path.stat().st_size):
        try:
            return FAISS.read_index(str(path), flags | FAISS.IO_FLAG_SKIP_PRECOMPUTE_TABLE)
        except RuntimeError as error:
            raise cause(" ".join(str(error).split())) from error


def cause(reason: str) -> Exception:
    """Why FAISS could not read a file: the operating system's refusal that it quotes, else damage."""
    for code in REFUSALS:
        if os.strerror(code) in reason:
            return OSError(code, os.strerror(code))
    return DamagedError(f"is damaged: FAISS cannot read it: {reason}")


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
    """Drop FAISS's messages about lists on the disk: standard output belongs to the command."""
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
