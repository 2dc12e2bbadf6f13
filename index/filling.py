"""A corpus embedded into a library: some megabytes of embeddings at a time, each in a commit of its own."""

from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from sora_video.pretrain.encoders.embed import embed_videos
from sora_video.pretrain.encoders.embeddings import Embeddings
from sora_video.pretrain.encoders.parts import fill
from sora_video.pretrain.video.corpus import Corpus
from sora_video.pretrain.video.kept import IndexStore
from sora_video.pretrain.video.quarantine import Failure

from .content import attributes_of
from .library import Library
from .store.add import Added
from .store.attributes import check_attributes
from .store.place import FRAMES

if TYPE_CHECKING:
    from sora_video.pretrain.encoders.frozen import VideoEncoder

__all__ = ["Commits", "Filled", "fill_library"]

FRAMES_BYTES = 2**30
"""That indexes of frames may take; an hour of video takes 2 MB."""


class Commits:
    """Adds videos of a corpus to a library; see :class:`sora_video.pretrain.encoders.parts.Sink`.

    Args:
        library: to add to.
        corpus: has all videos that are added, and their attributes.
        contents: see :meth:`.Library.add`.
        model: see there.
        prefix: see there.
        replace: see there.

    Raises:
        LibraryError: an attribute cannot be kept.
    """

    def __init__(
        self,
        library: Library,
        corpus: Corpus,
        contents: Mapping[str, str],
        model: str | Path | None,
        prefix: str = "",
        replace: bool = False,
    ) -> None:
        self.library, self.contents, self.model = library, contents, model
        self.root, self.prefix, self.replace = corpus.root, prefix, replace
        self.places = {video.video_id: place for place, video in enumerate(corpus.videos)}
        self.attributes = attributes_of(corpus)
        for name, given in self.attributes.items():
            check_attributes(name, given)
        self.written: set[str] = set()
        self.added = Added()

    def write(self, embeddings: Embeddings) -> None:
        """Add videos, in the order of the corpus.

        Args:
            embeddings: all rows of each of these videos.

        Raises:
            SoraError: see :meth:`.Library.add`.
        """
        places = np.array([self.places[name] for name in embeddings.video_id.tolist()])
        names = embeddings.videos()
        self._add(embeddings.select(np.argsort(places, kind="stable")), names)
        self.written.update(names)

    def finish(self, nothing: Embeddings) -> None:
        """Note the attributes and contents of all other videos, which may be there from before.

        Args:
            nothing: embeddings of no video.

        Raises:
            SoraError: see :meth:`.Library.add`.
        """
        self._add(nothing, self.places.keys() - self.written)

    def _add(self, embeddings: Embeddings, names: Collection[str]) -> None:
        """Add some of the videos."""
        added = self.library.add(
            embeddings,
            self.model,
            {name: self.contents[name] for name in names if name in self.contents},
            {name: self.attributes[name] for name in names if name in self.attributes},
            self.root,
            self.prefix,
            self.replace,
        )
        self.added = self.added.plus(added)


class Filled(NamedTuple):
    """What became of the videos that were to be embedded."""

    failures: tuple[Failure, ...]
    stop: KeyboardInterrupt | None
    """Why they are not all done; None: they are."""


def fill_library(commits: Commits, encoder: "VideoEncoder", corpus: Corpus) -> Filled:
    """Embed videos into a library, whose folder keeps indexes of them; memory does not grow with the corpus.

    Args:
        commits: to the library.
        encoder: what embeds.
        corpus: the videos.

    Returns:
        What became of them; after Ctrl-C the library has those that were done.

    Raises:
        SoraError: see :meth:`.Library.add`; what was added before stays.
    """
    path, failures = commits.library.path, list[Failure]()

    def tables() -> Iterator[Embeddings]:
        for table in embed_videos(corpus, encoder, progress=True, indexes=path.absolute() / FRAMES):
            failures.extend(table.failures)
            if len(table):
                yield table

    stop: KeyboardInterrupt | None = None
    try:
        fill(tables(), commits, path)
    except KeyboardInterrupt as interrupt:
        stop = interrupt
    finally:
        IndexStore(path / FRAMES).trim(FRAMES_BYTES)
    return Filled(tuple(failures), stop)
