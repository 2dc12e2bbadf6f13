"""Inverted files whose lists lie on the disk, for libraries that are larger than the memory.

The lists of some vectors at a time are written to files of their own, and then copied into the whole, which
FAISS maps. Its space is taken first: a map that finds the disk full ends the process.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import faiss
import numpy as np

from sora_video.base.errors import StorageError

from ..store.kinds import IndexKind
from ..store.source import BLOCK, Source
from ..store.vectors import silent

__all__ = ["SEGMENT_BLOCK", "build_on_disk"]

FAISS: Any = faiss  # its stubs know its C++ signatures, not those of its Python wrappers

SEGMENT_BLOCK = 16 * BLOCK
"""Vectors in memory at once where an index is built again."""
ID_BYTES = 8


def build_on_disk(kind: IndexKind, source: Source, lists_file: Path, block: int) -> Any:
    """Train and fill an inverted file whose lists stay on the disk, however large they are.

    Args:
        kind: one with ``on_disk``.
        source: the vectors.
        lists_file: will hold the lists.
        block: vectors that memory may hold.

    Returns:
        The index; its lists are mapped from ``lists_file``.

    Raises:
        StorageError: the disk has no space for them.
    """
    index = kind.trained(source)
    with TemporaryDirectory(dir=lists_file.parent, prefix=".lists.") as folder, writing(lists_file):
        paths = list(write_parts(index, source, Path(folder), block))
        parts = [FAISS.read_index(str(path), FAISS.IO_FLAG_MMAP) for path in paths]
        lists = merged([part.invlists for part in parts], lists_file)
    index.replace_invlists(lists, True)
    lists.this.disown()
    index.ntotal = source.rows
    return index


def write_parts(index: Any, source: Source, folder: Path, block: int) -> Iterator[Path]:
    """Write the lists of ``block`` vectors at a time, each as an index of its own."""
    empty = FAISS.serialize_index(index)
    for first in range(0, source.rows, block):
        part = source.fill(FAISS.deserialize_index(empty), first, min(first + block, source.rows))
        path = folder / f"{first}.faiss"
        FAISS.write_index(part, str(path))
        yield path


def merged(parts: Sequence[Any], lists_file: Path) -> Any:
    """The lists of all parts as one file, which is mapped.

    Args:
        parts: FAISS inverted lists, equal in number and in the size of a code.
        lists_file: to write.
    """
    count, code_size = parts[0].nlist, parts[0].code_size
    sizes = np.array([[part.list_size(number) for number in range(count)] for part in parts], np.uint64)
    lists = FAISS.OnDiskInvertedLists(count, code_size, str(lists_file))
    whole_sizes = sizes.sum(axis=0)
    total = int(whole_sizes.sum()) * (code_size + ID_BYTES)
    with silent():
        lists.update_totsize(total)
    reserve(lists_file, total)
    lists.set_all_lists_sizes(FAISS.swig_ptr(whole_sizes))
    starts = sizes.cumsum(axis=0) - sizes
    for part, part_sizes, part_starts in zip(parts, sizes.tolist(), starts.tolist(), strict=True):
        for number, (size, start) in enumerate(zip(part_sizes, part_starts, strict=True)):
            if size:
                ids, codes = part.get_ids(number), part.get_codes(number)
                lists.update_entries(number, start, size, ids, codes)
    return lists


def reserve(path: Path, size: int) -> None:
    """Take the space of a file that is as long as that already, though empty.

    Args:
        path: the file.
        size: in bytes.

    Raises:
        StorageError: the disk has no space.
    """
    try:
        with path.open("r+b") as file:
            os.posix_fallocate(file.fileno(), 0, size)
    except OSError as error:
        reason = f"{error.strerror}: it takes {size} bytes"
        raise StorageError(f"cannot write {path}: {reason}; free space or choose another folder") from error


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn FAISS's errors of writing a file into a :class:`StorageError`."""
    try:
        yield
    except RuntimeError as error:
        reason = " ".join(str(error).split())
        raise StorageError(f"cannot write {path}: {reason}; free space or choose another folder") from error
