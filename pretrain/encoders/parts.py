"""Embeddings written as they come: to one Parquet file, or to a folder of parts that can be continued.

A part is a file that :func:`.embeddings.write_embeddings` wrote, of whole videos. So a folder holds each
video once, however often the command that fills it was stopped.
"""

import os
import time
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol

import pyarrow as pa
import pyarrow.parquet as pq

from sora_video.base.errors import CorpusError, FingerprintError
from sora_video.base.files import atomic_path
from sora_video.base.locks import lock
from sora_video.base.storage import storage_errors
from sora_video.base.unfinished import sweep
from sora_video.pretrain.video.corpus import Corpus
from sora_video.pretrain.video.quarantine import Failure

from .embeddings import Embeddings, is_parts, join, part_paths, to_arrow, write_embeddings
from .engines.engine import Engine
from .engines.local import LocalEngine
from .rows import none_left

if TYPE_CHECKING:
    from .frozen import VideoEncoder

__all__ = ["Embedded", "Parts", "Sink", "embed_to", "fill", "write_stream"]

GROUP_BYTES = 2**25
"""Of the tables that are held before they are written."""
TABLE_BYTES = 4096
"""Counted for a table beside its vectors, more than it takes; of short videos it is most of the table."""
PART_S = 300.0
"""Seconds after which they are written to a part, however few they are."""


class Sink(Protocol):
    """What takes tables of embeddings."""

    def write(self, embeddings: Embeddings) -> None:
        """Write the rows of some videos.

        Args:
            embeddings: all rows of each of these videos.
        """


class Parts:
    """A folder of parts, held against other processes until it is closed.

    Of the parts that are there the names of the videos are read.

    Args:
        folder: made when missing.
        fingerprint: of the encoder whose embeddings are to be written.

    Raises:
        CorpusError: it holds something else, a part cannot be read, or another process fills it.
        FingerprintError: its parts are of another encoder.
        StorageError: the disk refused the folder.
    """

    def __init__(self, folder: Path, fingerprint: str) -> None:
        self.folder = folder
        with storage_errors(folder):
            folder.mkdir(parents=True, exist_ok=True)
            self.held = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        self.videos: set[str] = set()
        self.count = 0
        try:
            self.take_stock(fingerprint)
        except BaseException:
            self.close()
            raise

    def take_stock(self, fingerprint: str) -> None:
        """Hold the folder and see what is there."""
        folder = self.folder
        if not lock(self.held, wait=False):
            raise CorpusError(f"--out {folder}: another process embeds to it; wait for it to end")
        sweep(folder)
        if any(folder.iterdir()) and not is_parts(folder):
            raise CorpusError(f"--out {folder}: holds other files than embeddings; choose another folder")
        for path in part_paths(folder):
            made_by, names = names_of(path)
            if made_by != fingerprint:
                raise FingerprintError(
                    f"--out {folder}", made_by, fingerprint, "choose another folder, or name the same --model"
                )
            self.videos |= names
            self.count = int(path.stem.removeprefix("part-")) + 1

    def write(self, embeddings: Embeddings) -> None:
        """Write one more part.

        Args:
            embeddings: all rows of videos that no part has.

        Raises:
            StorageError: the disk refused the write.
        """
        write_embeddings(embeddings, self.folder / f"part-{self.count:06d}.parquet")
        self.count += 1

    def close(self) -> None:
        """Let other processes have the folder."""
        os.close(self.held)


class RowGroups:
    """One Parquet file, to which row groups are written.

    Args:
        path: the file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.writer: pq.ParquetWriter | None = None

    def write(self, embeddings: Embeddings) -> None:
        """Write one more row group.

        Args:
            embeddings: all rows of videos that no row group has.
        """
        table = to_arrow(embeddings)
        self.writer = self.writer or pq.ParquetWriter(self.path, table.schema)
        self.writer.write_table(table)

    def close(self) -> None:
        """End the file."""
        if self.writer:
            self.writer.close()


def write_stream(tables: Iterable[Embeddings], out: Path | Parts) -> tuple[int, int]:
    """Write tables as they come; some megabytes of them are held.

    Args:
        tables: each of whole videos.
        out: one file, which appears when all are written; or parts, which keep what was done when ``tables``
            raises.

    Returns:
        How many slices of how many videos were written; 0 of 0 leave no file.

    Raises:
        StorageError: the disk refused the write.
    """
    if isinstance(out, Parts):
        return fill(tables, out, out.folder)
    sweep(out.parent, out.name)
    tables = iter(tables)
    first = next(tables, None)
    if first is None:
        return 0, 0
    with atomic_path(out) as beside:
        groups = RowGroups(beside)
        try:
            return fill(chain([first], tables), groups, out)
        finally:
            groups.close()


def fill(tables: Iterable[Embeddings], sink: Sink, place: Path) -> tuple[int, int]:
    """Write tables in pieces of some megabytes, the last ones also when the tables' source raises.

    Args:
        tables: each of whole videos.
        sink: takes the pieces.
        place: names the sink in errors.

    Returns:
        How many slices of how many videos were written.
    """
    slices = videos = size = 0
    held: list[Embeddings] = []
    began = time.monotonic()
    try:
        for table in tables:
            held.append(table)
            slices, videos = slices + len(table), videos + len(table.videos())
            size += table.vectors.nbytes + TABLE_BYTES
            if size >= GROUP_BYTES or time.monotonic() - began > PART_S:
                full, held, size = held, [], 0
                sink.write(join(full, place))
                began = time.monotonic()
    finally:
        if held:
            sink.write(join(held, place))
    return slices, videos


def names_of(path: Path) -> tuple[str, set[str]]:
    """The fingerprint of a part, and the videos that it has."""
    try:
        with pq.ParquetFile(path, pre_buffer=False) as file:
            names = file.read(columns=["video_id"], use_threads=False)
        return names.schema.metadata[b"fingerprint"].decode(), set(names["video_id"].to_pylist())
    except (pa.ArrowException, OSError, KeyError, TypeError, ValueError) as error:
        raise CorpusError(
            f"embeddings {path}: no part of a table of embeddings: {error}; delete the file, and give the "
            "command again"
        ) from error


class Embedded(NamedTuple):
    """What :func:`embed_to` wrote."""

    slices: int
    videos: int
    before: int
    """Videos that the folder had already."""
    failures: tuple[Failure, ...]
    """Videos, or spans of them, that have no rows."""


def embed_to(encoder: "VideoEncoder", corpus: Corpus, out: Path, engine: Engine | None = None) -> Embedded:
    """Embed a corpus to a file or a folder; of the videos, only their list grows in memory.

    Args:
        encoder: what embeds.
        corpus: which videos.
        out: a path that ends in ``.parquet``, a file that is replaced; any other is a folder of parts, whose
            videos are not embedded again.
        engine: where they are embedded; None: in this process.

    Returns:
        What was written.

    Raises:
        CorpusError: no slice could be read, the name ends as that of another kind of file, or the folder
            holds something else.
        FingerprintError: the folder holds embeddings of another encoder.
        StorageError: the disk refused a write.
    """
    if out.suffix[1:].isalpha() and out.suffix != ".parquet" and not out.is_dir():
        raise CorpusError(
            f"--out {out}: embeddings are written as Parquet; choose a name that ends in .parquet, or for a "
            "folder of parts one without an ending"
        )
    engine = engine or LocalEngine()
    if out.suffix == ".parquet":
        return embed_into(engine, encoder, corpus, out, frozenset())
    with closing(Parts(out, encoder.fingerprint)) as parts:
        return embed_into(engine, encoder, corpus, parts, frozenset(parts.videos))


def embed_into(
    engine: Engine, encoder: "VideoEncoder", corpus: Corpus, sink: Path | Parts, before: frozenset[str]
) -> Embedded:
    """Embed the videos of a corpus but for those that are there."""
    left = replace(corpus, videos=tuple(video for video in corpus.videos if video.video_id not in before))
    failures: list[Failure] = []

    def tables() -> Iterator[Embeddings]:
        for table in engine(left, encoder):
            failures.extend(table.failures)
            if len(table):
                yield table

    slices, videos = write_stream(tables(), sink)
    if not slices and not before:
        raise none_left(failures)
    return Embedded(slices, videos, len(before), tuple(failures))
