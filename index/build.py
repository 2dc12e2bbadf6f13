"""From videos, or a table of their embeddings, to a library or a query; only this file asks for an encoder.

The encoder is imported when it is needed, so that a library can be searched without torch.
"""

import os
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeGuard

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from sora_video.base.errors import CorpusError, FingerprintError, LibraryError
from sora_video.pretrain.encoders.embeddings import Embeddings, read_embeddings
from sora_video.pretrain.video.corpus import Corpus, Source, open_corpus, open_span
from sora_video.pretrain.video.images import as_film
from sora_video.pretrain.video.quarantine import Failure

from .content import attributes_of, contents_of
from .library import Library
from .localize import localize
from .search.search import Hit
from .store.filters import Where
from .store.place import appearing
from .store.update import Added

if TYPE_CHECKING:
    from sora_video.pretrain.encoders.frozen import VideoEncoder

__all__ = [
    "SLICE",
    "Change",
    "add_to_library",
    "build_library",
    "embeddings_of",
    "is_video",
    "query_embeddings",
    "read_query",
    "search_video",
]


SLICE = "slice:"
"""Begins a query for more like a slice of the library."""


class Change(NamedTuple):
    """What became of a library."""

    library: Library
    failures: tuple[Failure, ...]
    """Videos of the source that could not be read; they were left as they are in the library."""
    added: Added


def embeddings_of(
    source: Source, model: str | Path | None = None, fingerprint: str | None = None
) -> Embeddings:
    """The embeddings of a corpus: read where the source is a table of them, else made.

    Args:
        source: a ``.parquet`` file that ``sora embed`` wrote, or what
            :func:`sora_video.pretrain.video.corpus.open_corpus` takes.
        model: run folder of the encoder; not looked at where the embeddings are there.
        fingerprint: refuse another encoder before it embeds anything.

    Returns:
        The embeddings; videos that could not be read are in its ``failures``.

    Raises:
        CorpusError: the table cannot be read, or no slice of the corpus.
        FingerprintError: the encoder is another one.
        LibraryError: an encoder is needed, and ``model`` names none.
        RunError: the run is not finished, or damaged.
    """
    if is_table(source):
        return read_embeddings(Path(source))
    encoder = open_encoder(model)
    if fingerprint not in (None, encoder.fingerprint):
        raise FingerprintError(
            f"model {model}", encoder.fingerprint, str(fingerprint), "name the library's own run with --model"
        )
    return encoder.embed(source)


def is_table(source: Source) -> TypeGuard[str | os.PathLike[str]]:
    """Whether a source is a table of embeddings; a Parquet manifest of videos has a column ``path``."""
    if not isinstance(source, str | os.PathLike):
        return False
    path = Path(source)
    if path.suffix.lower() != ".parquet" or path.is_dir():
        return False
    try:
        return "path" not in pq.read_schema(path).names
    except (pa.ArrowException, OSError):
        return True  # whoever reads it says what is wrong with it


def open_encoder(model: str | Path | None, by: str | None = None) -> "VideoEncoder":
    """Load the encoder of a run that was named, or that a library remembers."""
    run = check_run(model)
    from sora_video.pretrain.encoders.frozen import load_encoder

    return load_encoder(run, by=by)


def open_for(source: Source, model: str | Path | None) -> Corpus:
    """Open a corpus to embed, once it is known that there is an encoder."""
    check_run(model)
    return open_corpus(source)


def check_run(model: str | Path | None) -> Path:
    """Refuse an encoder that is named nowhere, or is not there."""
    if model is None:
        raise LibraryError("model: none is named and none remembered; name a run folder with --model")
    if not Path(model).is_dir():
        raise LibraryError(f"model {model}: no such run folder; name it with --model")
    return Path(model)


def build_library(
    path: str | Path, source: Source, model: str | Path | None = None, precision: str = "fp32"
) -> Change:
    """Build a library; it appears whole or not at all.

    Args:
        path: the library's folder; it must not exist, or be empty.
        source: see :func:`embeddings_of`.
        model: run folder of the encoder, which the library remembers.
        precision: see :meth:`sora_video.index.library.Library.create`.

    Returns:
        The library, and the videos that could not be read.

    Raises:
        CorpusError: the source cannot be read.
        LibraryError: the folder holds something, an encoder is needed and not named, or the table's vectors
            are not L2-normalised.
        RunError: the run is not finished, or damaged.
        StorageError: the disk refused the write.
    """
    place = Path(path).resolve()  # the folder of a relative path may be the one that is replaced
    with appearing(place) as beside:
        corpus = None if is_table(source) else open_for(source, model)
        contents = contents_of(corpus) if corpus else {}
        embeddings = embeddings_of(corpus or source, model)
        library = Library.create(beside, embeddings.fingerprint, embeddings.dim, precision)
        attributes, root = (attributes_of(corpus), corpus.root) if corpus else ({}, None)
        added = library.add(embeddings, model, contents, attributes, root)
    return Change(Library.open(place), embeddings.failures, added)


def add_to_library(path: str | Path, source: Source, model: str | Path | None = None) -> Change:
    """Add to a library; videos that are there already are replaced if they changed.

    Of a corpus, only videos whose files are new or changed are embedded; a manifest's further columns become
    attributes of all.

    Args:
        path: the library's folder.
        source: see :func:`embeddings_of`.
        model: run folder of the encoder, remembered from then on; None: the one the library remembers.

    Returns:
        The library, and the videos that could not be read.

    Raises:
        CorpusError: the source cannot be read.
        FingerprintError: another encoder made the library.
        LibraryError: there is no library, it is damaged, an encoder is needed and neither named nor
            remembered, or the table's vectors are not L2-normalised.
        RunError: the run is not finished, or damaged.
        StorageError: the disk refused the write; the library is as it was.
    """
    library = Library.open(path)
    if is_table(source):
        embeddings = embeddings_of(source)
        return Change(library, (), library.add(embeddings, model))
    corpus = open_for(source, library.model if model is None else model)
    contents = contents_of(corpus)
    held = library.contents(contents)
    same = {name for name, content in contents.items() if held.get(name) == content}
    changed = replace(corpus, videos=tuple(video for video in corpus.videos if video.video_id not in same))
    if not changed.videos:
        embeddings, model = nothing(library), None
    else:
        embeddings = embed_changed(library, changed, model, whole=not same)
    added = library.add(embeddings, model, contents, attributes_of(corpus), corpus.root)
    return Change(library, embeddings.failures, added._replace(unchanged=added.unchanged + len(same)))


def embed_changed(library: Library, corpus: Corpus, model: str | Path | None, whole: bool) -> Embeddings:
    """Embed the videos that a library lacks; none need be readable unless they are the ``whole`` corpus."""
    try:
        return embeddings_of(corpus, library.model if model is None else model, library.fingerprint)
    except CorpusError as error:
        if whole or not error.failures:
            raise
        return nothing(library, error.failures)


def nothing(library: Library, failures: tuple[Failure, ...] = ()) -> Embeddings:
    """Embeddings of no video."""
    no_number = np.zeros(0)
    return Embeddings(
        video_id=no_number.astype(object),
        slice_no=no_number.astype(np.int32),
        start_s=no_number,
        end_s=no_number,
        vectors=np.zeros((0, library.dim), np.float32),
        fingerprint=library.fingerprint,
        failures=failures,
    )


def query_embeddings(
    video: str | Path,
    model: str | Path | None,
    start_s: float | None = None,
    end_s: float | None = None,
    by: str | None = None,
    fps: float | None = None,
) -> Embeddings:
    """Embed one video, or a span of it, to search with.

    Args:
        video: the file, or a folder of images that follow each other.
        model: run folder of the encoder; ``library.model`` is the one that a library remembers.
        start_s: start of the span in seconds; None: the video's.
        end_s: end of the span in seconds; None: the video's.
        by: see :class:`sora_video.pretrain.encoders.frozen.VideoEncoder`.
        fps: images a second of a folder; None: as many as the encoder looks at.

    Returns:
        Its slices; their times are the video's.

    Raises:
        ConfigError: the encoder has no such sense.
        CorpusError: no slice can be read.
        LibraryError: ``model`` names no run folder.
        RunError: the run is not finished, or damaged.
        VideoError: the file has no video that can be read, or the span is not within it.
    """
    encoder = open_encoder(model, by)
    if not Path(video).is_dir():
        return encoder.embed(open_span(video, start_s, end_s))
    with as_film(Path(video), encoder.config.slice.fps if fps is None else fps) as film:
        return encoder.embed(open_span(film, start_s, end_s))


def search_video(
    path: str | Path,
    video: str | Path,
    model: str | Path | None = None,
    start_s: float | None = None,
    end_s: float | None = None,
    top: int = 10,
    exclude: Iterable[str] = (),
    by: str | None = None,
    where: Where | None = None,
    fps: float | None = None,
) -> list[Hit]:
    """Find where else in a library a video, a span of it, a slice or an embedding happens.

    Args:
        path: the library's folder.
        video: see :func:`read_query`.
        model: run folder of the encoder; None: the one the library remembers.
        start_s: start of the span in seconds.
        end_s: end of the span in seconds.
        top: most videos to find.
        exclude: videos to leave out, the query's own among them where it is in the library.
        by: by what the query is embedded, see :class:`sora_video.pretrain.encoders.frozen.VideoEncoder`.
        where: which slices may be found.
        fps: images a second of a folder of images; None: as many as the encoder looks at.

    Returns:
        See :func:`sora_video.index.localize.localize`.

    Raises:
        SoraError: see :func:`read_query` and :func:`sora_video.index.localize.localize`.
    """
    library = Library.open(path)
    query = read_query(library, video, model, start_s, end_s, by, fps)
    own = query.videos() if str(video).startswith(SLICE) else []
    return localize(library, query, top, [*exclude, *own], where)


def is_video(query: str | Path) -> bool:
    """Whether :func:`read_query` takes a query for a video file."""
    return not (str(query).startswith(SLICE) or str(query).endswith(".npy") or Path(query).is_dir())


def read_query(
    library: Library,
    query: str | Path,
    model: str | Path | None = None,
    start_s: float | None = None,
    end_s: float | None = None,
    by: str | None = None,
    fps: float | None = None,
) -> Embeddings:
    """What to search a library for.

    Args:
        library: to search.
        query: a video or a folder of images, see :func:`query_embeddings`; a ``.npy`` file of (D,) or
            (N, D) L2-normalised embeddings; or ``slice:ID`` for a slice of the library.
        model: run folder of the encoder of a video; None: the one the library remembers.
        start_s: start of the span of a video in seconds.
        end_s: end of the span of a video in seconds.
        by: by what a video is embedded, see :class:`sora_video.pretrain.encoders.frozen.VideoEncoder`.
        fps: images a second of a folder; None: as many as the encoder looks at.

    Raises:
        LibraryError: there is no such file, or slice.
        SoraError: see :func:`query_embeddings`.
    """
    text = str(query)
    if text.startswith(SLICE):
        number = text.removeprefix(SLICE)
        if not number.isdecimal():
            raise LibraryError(f"query {text}: no slice id; write for instance {SLICE}12")
        return library.slice(int(number))
    if text.endswith(".npy"):
        return read_vectors(Path(query), library)
    return query_embeddings(query, library.model if model is None else model, start_s, end_s, by, fps)


def read_vectors(path: Path, library: Library) -> Embeddings:
    """Embeddings of the library's encoder from a NumPy file; they have no times.

    Raises:
        LibraryError: it holds no (D,) or (N, D) numbers.
    """
    try:
        vectors = np.atleast_2d(np.load(path, allow_pickle=False)).astype(np.float32)
    except (OSError, ValueError, EOFError) as error:
        raise LibraryError(f"query {path}: cannot be read: {error}; write it with numpy.save") from error
    if vectors.ndim != 2:
        raise LibraryError(f"query {path}: has shape {vectors.shape}, not (N, {library.dim}); fix it")
    return Embeddings(
        video_id=np.full(len(vectors), str(path), object),
        slice_no=np.arange(len(vectors), dtype=np.int32),
        start_s=np.zeros(len(vectors)),
        end_s=np.zeros(len(vectors)),
        vectors=vectors,
        fingerprint=library.fingerprint,
    )
