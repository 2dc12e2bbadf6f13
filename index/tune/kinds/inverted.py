"""The base of inverted files: vectors lie in the list of their nearest centroid.

Sizes follow the rules that FAISS's wiki ("Guidelines to choose an index") and autofaiss publish: about
4 sqrt(N) lists, trained on up to 64 vectors a list. Unlike theirs, the nearest centroids are found exactly:
through a graph over 4,096 centroids 6 in 100 vectors came into a wrong list, where no search looks for them,
and it was not quicker.
"""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from math import log2, sqrt
from typing import Annotated, Any, ClassVar

import faiss
import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from ...store.files import DamagedError
from ...store.kinds import IndexConfig, IndexKind, refuse_kind
from ...store.source import Source

__all__ = ["RERANKED", "Inverted", "InvertedConfig", "lists_of"]

FAISS: Any = faiss  # its stubs know its C++ signatures, not those of its Python wrappers

POINTS_PER_LIST = 64
FEWEST_POINTS = 39
"""Least number of vectors per list for a useful centroid."""
FEWEST_TRAINED = 16_384
"""Vectors to train on, at least."""
RERANKED = (2, 8, 32)
"""Candidates re-ranked for each wanted slice, where codes are shorter than vectors."""


def lists_of(rows: int) -> int:
    """How many lists an inverted file has.

    Args:
        rows: vectors in it.
    """
    return max(1, min(int(2 ** round(log2(4 * sqrt(rows)))), rows // FEWEST_POINTS))


class InvertedConfig(IndexConfig):
    """Settings of an inverted file."""

    lists: Annotated[int, Field(ge=1)]
    """How many centroids there are."""


class Inverted(IndexKind):
    """Base of inverted files: a search reads the lists of the nprobe nearest centroids.

    Args:
        config: how many lists there are.
    """

    settings: ClassVar[type[IndexConfig]] = InvertedConfig
    effort = "nprobe"
    on_gpu = True

    @classmethod
    def proposals(cls, rows: int, dim: int) -> Sequence[Mapping[str, int]]:  # noqa: ARG003
        """About 4 sqrt(N) lists."""
        return ({"lists": lists_of(rows)},)

    def check_sizes(self, rows: int, dim: int) -> None:
        """Refuse more lists than centroids can be found for."""
        super().check_sizes(rows, dim)
        if self.config.lists > rows:
            raise ValueError(f"lists={self.config.lists} are more than the {rows} slices")

    @abstractmethod
    def code_bytes(self, dim: int) -> int:
        """Bytes of the code of one vector.

        Args:
            dim: of the vectors.
        """

    @abstractmethod
    def factory(self, dim: int) -> str:
        """The index as FAISS's factory names it.

        Args:
            dim: of the vectors.
        """

    def memory(self, rows: int, dim: int, stored: int) -> int:  # noqa: ARG002
        """Bytes of codes, row numbers and centroids."""
        return rows * (self.code_bytes(dim) + 8) + self.memory_of_disk(dim)

    def memory_of_disk(self, dim: int) -> int:
        """Bytes of the centroids."""
        lists: int = self.config.lists
        return 4 * dim * lists

    @property
    def points(self) -> int:
        """Vectors to train on."""
        lists: int = self.config.lists
        return max(POINTS_PER_LIST * lists, FEWEST_TRAINED)

    def trained(self, source: Source) -> Any:
        """An index with its centroids, and its codes trained."""
        index = FAISS.index_factory(source.dim, self.factory(source.dim), FAISS.METRIC_INNER_PRODUCT)
        sample, centroids = self.training(index, source)
        ivf = FAISS.downcast_index(FAISS.extract_index_ivf(index))
        ivf.quantizer.add(centroids)
        if hasattr(ivf, "pq"):
            ivf.pq.cp.seed = source.seed
        ivf.train(sample)
        index.is_trained = True
        return index

    def training(self, index: Any, source: Source) -> tuple[NDArray[np.float32], NDArray[np.float32]]:  # noqa: ARG002
        """What an index is trained on.

        Args:
            index: the untrained FAISS index; a transform in it may be trained here.
            source: the vectors.

        Returns:
            (n, D) vectors to train the codes on, and (lists, D) centroids.
        """
        return source.sample(self.points), source.centroids(self.config.lists, self.points)

    def most_effort(self, rows: int) -> int:  # noqa: ARG002
        """All lists."""
        lists: int = self.config.lists
        return lists

    def asked(self, effort: int, selector: Any) -> Any:
        """How many lists are searched."""
        return FAISS.SearchParametersIVF(nprobe=min(effort, self.config.lists), sel=selector)

    def inner(self, index: Any) -> Any:
        """The inverted file within an index.

        Args:
            index: a FAISS index.
        """
        return index

    def check(self, index: Any) -> None:
        """Refuse an index that has other lists, or names rows that are not there."""
        ivf, lists = self.inner(index), self.config.lists
        if not isinstance(ivf, FAISS.IndexIVF) or not ivf.nlist == ivf.invlists.nlist == lists:
            raise refuse_kind(self)
        quantizer = FAISS.downcast_index(ivf.quantizer)
        if not isinstance(quantizer, FAISS.IndexFlat) or (quantizer.ntotal, quantizer.d) != (lists, ivf.d):
            raise refuse_kind(self)
        check_rows(FAISS.downcast_InvertedLists(ivf.invlists), index.ntotal)


def check_rows(lists: Any, rows: int) -> None:
    """Refuse inverted lists that name rows that are not there.

    Raises:
        DamagedError: they do.
    """
    for number in range(lists.nlist):
        size = lists.list_size(number)
        if size:
            named = FAISS.rev_swig_ptr(lists.get_ids(number), size)
            if named.min() < 0 or named.max() >= rows:
                raise DamagedError("is damaged: it names rows that are not there")
