"""An example: a video, a slice of the library or a file of embeddings, to find more like it."""

from collections.abc import Callable, Collection
from dataclasses import KW_ONLY, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from sora_video.base.errors import LibraryError
from sora_video.pretrain.encoders.aspects import Aspect
from sora_video.pretrain.encoders.embeddings import Embeddings
from sora_video.pretrain.video.corpus import open_span
from sora_video.pretrain.video.images import as_film

from .encoder import open_encoder
from .query import AGREE, Query, without_times
from .store.filters import Where

if TYPE_CHECKING:
    from sora_video.pretrain.encoders.frozen import VideoEncoder

    from .stores import Store

__all__ = ["Example", "check_aspect", "query_by_example"]

OpenEncoder = Callable[[str | Path | None, str | None], "VideoEncoder"]
"""Gives the encoder of a model spec, by an aspect; see :func:`.encoder.open_encoder`."""
SLICE = "slice:"
"""Starts the name of a slice of the library."""
TEXT = "text:"
"""Starts words."""


@dataclass(frozen=True)
class Example:
    """What to find more like, before it is embedded.

    Args:
        source: a video file; a folder of images that follow each other; a ``.npy`` file of (D,) or (N, D)
            L2-normalised embeddings; ``slice:ID`` for a slice of the library; or ``text:WORDS``.
        model: spec of the encoder of a video; None: the one that the library remembers.
        start_s: start of the span of a video in seconds; None: the video's.
        end_s: end of the span of a video in seconds; None: the video's.
        by: aspect to search by, such as ``"look"``, ``"motion"`` or ``"sound"``; see
            :class:`sora_video.pretrain.encoders.frozen.VideoEncoder`. None: all.
        fps: images a second of a folder; None: as many as the encoder looks at.
    """

    source: str | Path
    _: KW_ONLY
    model: str | Path | None = None
    start_s: float | None = None
    end_s: float | None = None
    by: str | None = None
    fps: float | None = None

    @property
    def path(self) -> Path:
        """Where the video, the images or the embeddings lie."""
        return Path(self.source).expanduser()

    @property
    def is_slice(self) -> bool:
        """Whether it is a slice of the library."""
        return str(self.source).startswith(SLICE)

    @property
    def is_text(self) -> bool:
        """Whether it is words."""
        return str(self.source).startswith(TEXT)

    @property
    def is_folder(self) -> bool:
        """Whether it is a folder of images."""
        return not (self.is_slice or self.is_text or self.is_vectors) and self.path.is_dir()

    @property
    def is_vectors(self) -> bool:
        """Whether it is a file of embeddings."""
        return not (self.is_slice or self.is_text) and self.path.suffix == ".npy"

    @property
    def is_video(self) -> bool:
        """Whether it is taken for a video file."""
        return not (self.is_slice or self.is_text or self.is_folder or self.is_vectors)

    def embed(self, library: "Store", encoders: OpenEncoder = open_encoder) -> Embeddings:
        """Its slices; those of a video have the video's times.

        Args:
            library: the library to search.
            encoders: gives the encoder, where one is needed.

        Raises:
            ConfigError: the encoder has no such aspect, or no text tower.
            CorpusError: no slice can be read.
            LibraryError: there is no such slice, run folder or file of embeddings.
            RunError: the run is not finished, or damaged.
            VideoError: the file has no video that can be read, or the span is not within it.
        """
        if self.is_slice:
            return library.slice(self.slice_number)
        if self.is_vectors:
            return read_vectors(self.path, library)
        encoder = encoders(library.model if self.model is None else self.model, self.by)
        if self.is_text:
            vectors = encoder.embed_text([self.words])
            return without_times(vectors, encoder.fingerprint, self.words, encoder.spans)
        if not self.is_folder:
            return encoder.embed(open_span(self.path, self.start_s, self.end_s))
        with as_film(self.path, encoder.config.slice.fps if self.fps is None else self.fps) as film:
            return encoder.embed(open_span(film, self.start_s, self.end_s))

    def searched_by(self, embeddings: Embeddings) -> str | None:
        """The aspect that the library is to compare by; None: by whole embeddings.

        What an encoder embeds by an aspect that is no span of the embedding, such as sound, is compared with
        whole embeddings.

        Args:
            embeddings: of the example.
        """
        is_span = any(aspect.name == self.by for aspect in embeddings.aspects)
        return self.by if is_span or self.is_slice or self.is_vectors else None

    @property
    def words(self) -> str:
        """The words that it is."""
        return str(self.source).removeprefix(TEXT)

    @property
    def slice_number(self) -> int:
        """The id of the slice that it is.

        Raises:
            LibraryError: its name has none.
        """
        number = str(self.source).removeprefix(SLICE)
        if not number.isdecimal():
            raise LibraryError(f"query {self.source}: no slice id; write for instance {SLICE}12")
        return int(number)


def query_by_example(
    library: "Store",
    example: Example,
    *,
    top: int = 10,
    exclude: Collection[str] = (),
    where: Where | None = None,
    agree: bool = AGREE,
    encoders: OpenEncoder = open_encoder,
) -> Query:
    """Embed an example, to look for where else in a library it happens.

    Args:
        library: to search.
        example: what to find more like.
        top: see :class:`~sora_video.index.query.Query`.
        exclude: see there; a slice of the library leaves its own video out as well.
        where: see there.
        agree: see there.
        encoders: gives the encoder, where one is needed; who searches often keeps those that are loaded.

    Returns:
        The query, for :func:`sora_video.index.localize.localize`.

    Raises:
        SoraError: see :meth:`Example.embed` and :class:`~sora_video.index.query.Query`.
    """
    embeddings = example.embed(library, encoders)
    by = example.searched_by(embeddings)
    check_aspect(str(example.source), embeddings, library.aspect(by, embeddings.aspects))
    excluded = {exclude} if isinstance(exclude, str) else set(exclude)
    if example.is_slice:
        excluded.update(embeddings.videos())
    return Query(
        embeddings,
        top=top,
        exclude=excluded,
        where=where,
        words=example.is_text,
        by=by,
        agree=agree,
    )


def check_aspect(source: str, embeddings: Embeddings, aspect: Aspect | None) -> None:
    """Refuse an example that has nothing of the aspect it is to be compared by.

    Args:
        source: of the example, for the message.
        embeddings: of it.
        aspect: by which; None: by all.

    Raises:
        LibraryError: it has not.
    """
    if aspect and not aspect.part(embeddings.vectors).any():
        raise LibraryError(f"query {source}: the encoder sees no {aspect.name} in it; search without --by")


def read_vectors(path: Path, library: "Store") -> Embeddings:
    """Embeddings of the library's encoder from a NumPy file; they have no times.

    Raises:
        LibraryError: it holds no (D,) or (N, D) numbers.
    """
    try:
        vectors = np.atleast_2d(np.load(path, allow_pickle=False)).astype(np.float32)
    except (OSError, ValueError, EOFError) as error:
        raise LibraryError(f"query {path}: cannot be read: {error}; write it with numpy.save") from error
    return without_times(vectors, library.fingerprint, str(path))
