"""From videos, or a table of their embeddings, to a library."""

import dataclasses
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeGuard

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from sora_video.base.errors import FingerprintError
from sora_video.pretrain.encoders.embeddings import Embeddings, is_parts
from sora_video.pretrain.encoders.rows import drop_zeros, none_left
from sora_video.pretrain.encoders.streamed import StreamedTable
from sora_video.pretrain.video.corpus import Corpus, Source, open_corpus
from sora_video.pretrain.video.quarantine import Failure

from .content import contents_of
from .encoder import check_model, open_encoder
from .filling import Commits, Filled, fill_library
from .library import Library
from .query import without_times
from .stopped import is_stopped, note_end, note_stop, refuse_other
from .store.add import Added
from .store.place import appearing
from .store.video_source import check_prefix

if TYPE_CHECKING:
    from sora_video.pretrain.encoders.frozen import VideoEncoder

__all__ = ["Change", "add_to_library", "build_library", "is_table"]


class Change(NamedTuple):
    """What became of a library."""

    library: Library
    failures: tuple[Failure, ...]
    """Videos of the source that could not be read; they were left as they are in the library."""
    added: Added


def encoder_of(model: str | Path | None, fingerprint: str | None) -> "VideoEncoder":
    """Load an encoder, and refuse one with another fingerprint."""
    encoder = open_encoder(model)
    if fingerprint not in (None, encoder.fingerprint):
        raise FingerprintError(
            f"model {model}", encoder.fingerprint, str(fingerprint), "name the library's own run with --model"
        )
    return encoder


def is_table(source: Source) -> TypeGuard[str | os.PathLike[str]]:
    """Whether a source is a table of embeddings; a Parquet manifest of videos has a column ``path``.

    Args:
        source: see :func:`build_library`.
    """
    if not isinstance(source, str | os.PathLike):
        return False
    path = Path(source).expanduser()
    if is_parts(path):
        return True
    if path.suffix.lower() != ".parquet" or path.is_dir():
        return False
    try:
        return "path" not in pq.read_schema(path).names
    except (pa.ArrowException, OSError):
        return True  # whoever reads it says what is wrong with it


def open_for(source: Source, model: str | Path | None) -> Corpus:
    """Open a corpus to embed, once it is known that there is an encoder."""
    check_model(model)
    return open_corpus(source)


def build_library(
    path: str | Path,
    source: Source,
    model: str | Path | None = None,
    precision: str = "fp32",
    *,
    prefix: str = "",
) -> Change:
    """Build a library; it appears whole or not at all, and memory does not grow with what it is built of.

    After Ctrl-C it has the videos that were done, and the same call adds the rest.

    Args:
        path: the library's folder; it must not exist, or be empty.
        source: a ``.parquet`` file, or a folder of them, that ``sora embed`` wrote; or what
            :func:`sora_video.pretrain.video.corpus.open_corpus` takes.
        model: spec of the encoder, which the library remembers.
        precision: see :meth:`sora_video.index.library.Library.create`.
        prefix: see :func:`add_to_library`.

    Returns:
        The library, and the videos that could not be read.

    Raises:
        CorpusError: the source cannot be read.
        LibraryError: the folder holds something, an encoder is needed and not named, the table's vectors
            are not L2-normalised, or the prefix is no relative folder.
        RunError: the run is not finished, or damaged.
        StorageError: the disk refused the write.
    """
    place = Path(path).expanduser().resolve()  # the folder of a relative path may be the one that is replaced
    prefix, stop = check_prefix(prefix), None
    if is_stopped(place):
        corpus = open_for(source, model)
        refuse_other(place, order_of(corpus, precision, prefix))
        change = add_to_library(Library.open(place), corpus, model, prefix=prefix)
        note_end(place)
        return change
    with appearing(place) as beside:
        if is_table(source):
            table = StreamedTable(Path(source).expanduser())
            library = Library.create(
                beside, table.head.fingerprint, table.head.dim, precision, table.head.aspects
            )
            failures, added = add_table(library, table, model, prefix)
        else:
            corpus = prefixed(open_for(source, model), prefix)
            contents, encoder = contents_of(corpus), open_encoder(model)
            library = Library.create(beside, encoder.fingerprint, encoder.dim, precision, encoder.spans)
            commits = Commits(library, corpus, contents, model, prefix)
            failures, stop = fill_library(commits, encoder, corpus)
            if not len(library):
                raise stop or none_left(failures)
            added = commits.added
            if stop:
                note_stop(beside, order_of(corpus, precision, prefix))
    if stop:
        raise stop
    return Change(Library.open(place), failures, added)


def add_table(
    library: Library, table: StreamedTable, model: str | Path | None, prefix: str, replace: bool = False
) -> tuple[tuple[Failure, ...], Added]:
    """Add a table of embeddings, some megabytes of which are in memory; its blank videos are left out."""
    failures: list[Failure] = []

    def pieces() -> Iterator[Embeddings]:
        is_empty = True
        for piece in map(drop_zeros, table):
            failures.extend(piece.failures)
            if len(piece):
                is_empty = False
                yield prefixed_rows(piece, prefix)
        if is_empty and failures:
            raise none_left(failures)

    added = library.add_tables(pieces(), table.rows, model, prefix, replace)
    return tuple(failures), added


def order_of(corpus: Corpus, precision: str, prefix: str) -> dict[str, str]:
    """What is built, by which an interrupted call and the one that goes on are compared."""
    return {"source": str(corpus.root.absolute()), "precision": precision, "prefix": prefix}


def add_to_library(
    library: Library,
    source: Source,
    model: str | Path | None = None,
    *,
    prefix: str = "",
    replace: bool = False,
) -> Change:
    """Add to a library; videos that are there already are replaced if they changed.

    Of a corpus, only videos whose files are new or changed are embedded; a manifest's further columns become
    attributes of all. Videos that the library ignores are left out. Another file of the same name, from
    another folder, is refused: see ``prefix`` and ``replace``.

    Videos are committed as they are embedded, some megabytes of embeddings at a time: after Ctrl-C, a kill or
    an error the library has those that were done, and the same call adds the rest. A table is one commit.

    Args:
        library: to add to.
        source: see :func:`build_library`.
        model: spec of the encoder, remembered from then on; None: the one the library remembers.
        prefix: begins the names of the videos: with ``cam2``, ``0001.mp4`` becomes ``cam2/0001.mp4``.
        replace: replace videos of the same names that came from other files, too.

    Returns:
        The library, and the videos that could not be read.

    Raises:
        CorpusError: the source cannot be read.
        FingerprintError: another encoder made the library.
        LibraryError: a name is taken by another file's video, the library is damaged, an encoder is needed
            and neither named nor remembered, the table's vectors are not L2-normalised, or the prefix is no
            relative folder.
        RunError: the run is not finished, or damaged.
        StorageError: the disk refused the write; what was committed before stays.
    """
    prefix = check_prefix(prefix)
    if is_table(source):
        table = StreamedTable(Path(source).expanduser())
        return Change(library, *add_table(library, table, model, prefix, replace))
    corpus = prefixed(open_for(source, library.model if model is None else model), prefix)
    contents = contents_of(corpus)
    if not replace:
        library.check_names(contents, corpus.root, prefix)
    held = library.contents(contents)
    same = {name for name, content in contents.items() if held.get(name) == content}
    names = {video.video_id for video in corpus.videos} - same
    left_out = library.barred({name: contents.get(name, "") for name in names})
    known = same | left_out
    rest = dataclasses.replace(corpus, videos=tuple(v for v in corpus.videos if v.video_id not in known))
    commits, filled = Commits(library, corpus, contents, model, prefix, replace), Filled((), None)
    if len(rest):
        encoder = encoder_of(library.model if model is None else model, library.fingerprint)
        filled = fill_library(commits, encoder, rest)
    elif model is not None:
        encoder_of(model, library.fingerprint)  # it is remembered, so it has to be the right one
    if not (known or commits.written or filled.stop):
        raise none_left(filled.failures)
    commits.finish(without_times(np.zeros((0, library.dim), np.float32), library.fingerprint))
    if filled.stop:
        raise filled.stop
    added = commits.added.plus(Added(unchanged=len(same), ignored=len(left_out)))
    return Change(library, filled.failures, added)


def prefixed(corpus: Corpus, prefix: str) -> Corpus:
    """The same files under names that begin with a prefix."""
    if not prefix:
        return corpus
    videos = (dataclasses.replace(v, video_id=f"{prefix}/{v.video_id}") for v in corpus.videos)
    return dataclasses.replace(corpus, videos=tuple(videos))


def prefixed_rows(embeddings: Embeddings, prefix: str) -> Embeddings:
    """The same embeddings under names that begin with a prefix."""
    if not prefix:
        return embeddings
    names = [f"{prefix}/{name}" for name in embeddings.video_id.tolist()]
    return dataclasses.replace(embeddings, video_id=np.array(names, object))
