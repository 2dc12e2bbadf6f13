"""What is the same of a library that is searched in a folder and of one on a server."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

from sora_video.pretrain.encoders.aspects import Aspect, find_aspect
from sora_video.pretrain.encoders.embeddings import Embeddings

from .query import Query, asked_by
from .search.compare import Comparison, Comparisons
from .store.guard import check_embeddings
from .store.manifest import Manifest

__all__ = ["SearchedLibrary"]


class SearchedLibrary(ABC):
    """A library with whose embeddings those of queries are compared."""

    _comparisons: Comparisons

    @property
    @abstractmethod
    def _manifest(self) -> Manifest:
        """What is committed."""

    @property
    def fingerprint(self) -> str:
        """Of the encoder whose embeddings it holds."""
        return self._manifest.fingerprint

    @property
    def dim(self) -> int:
        """Dimension of the embeddings."""
        return self._manifest.dim

    @property
    def aspects(self) -> tuple[Aspect, ...]:
        """Spans of the embeddings that they can be compared by alone."""
        return self._manifest.aspects

    def comparison(
        self, by: str | None = None, aspects: Sequence[Aspect] = (), is_mild: bool = False
    ) -> Comparison:
        """What compares queries with videos by likeness.

        Args:
            by: an aspect; None: by whole embeddings.
            aspects: see :meth:`aspect`.
            is_mild: by the milder whitening that videos are ranked by.

        Raises:
            ConfigError: the library does not have the aspect.
        """
        return self._comparisons.by(self.aspect(by, aspects), is_mild)

    def aspect(self, by: str | None, aspects: Sequence[Aspect] = ()) -> Aspect | None:
        """An aspect of the embeddings.

        Args:
            by: its name; None: all.
            aspects: of other embeddings by the same encoder, for libraries that older versions wrote.

        Raises:
            ConfigError: there is none of this name.
        """
        return None if by is None else find_aspect(by, self.aspects or aspects, f"library {self}")

    def check(self, embeddings: Embeddings) -> None:
        """Refuse embeddings that cannot be searched for.

        Args:
            embeddings: of a query.

        Raises:
            FingerprintError: another encoder made them.
            LibraryError: they are of another dimension, or not L2-normalised.
        """
        check_embeddings(embeddings, "the query", self._manifest)

    def _asked(self, query: Query) -> Embeddings:
        """The query's slices, so that inner products are cosines by what it asks by."""
        return asked_by(query.embeddings, self.aspect(query.by, query.embeddings.aspects))
