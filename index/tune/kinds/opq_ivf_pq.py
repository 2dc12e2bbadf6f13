"""A rotation, then an inverted file of product-quantised codes."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import faiss
import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from ...store.source import Source, cluster
from .inverted import RERANKED, Inverted, InvertedConfig

__all__ = ["OPQIVFPQ", "OPQIVFPQConfig"]

FAISS: Any = faiss  # its stubs know its C++ signatures, not those of its Python wrappers

OPQ_POINTS = 16_384
OPQ_ROUNDS = 12
"""FAISS makes 50, most of them for nothing where candidates are re-ranked."""
NUMBERS_PER_PART = 4


class OPQIVFPQConfig(InvertedConfig):
    """Settings of OPQ-IVF-PQ."""

    parts: Annotated[int, Field(ge=1)]
    """Into which a vector is divided, each coded by 4 bits."""


class OPQIVFPQ(Inverted):
    """Lists of codes of 4 bits for each 4 numbers, searched by fast-scan; candidates are re-ranked.

    Args:
        config: how many lists there are, and parts of a vector.

    References:
        Ge et al., Optimized Product Quantization, 2013. André et al., Quicker ADC, 2019.
    """

    settings = OPQIVFPQConfig
    rerank = RERANKED
    spelling = r"OPQ(?P<parts>\d+)_\d+,IVF(?P<lists>\d+),PQ\d+x4fsr"

    @classmethod
    def proposals(cls, rows: int, dim: int) -> Sequence[Mapping[str, int]]:
        """A part for each 4 numbers."""
        parts = max(dim // NUMBERS_PER_PART, 1)
        return [{**sizes, "parts": parts} for sizes in super().proposals(rows, dim)]

    def check_sizes(self, rows: int, dim: int) -> None:
        """Refuse more lists, or parts of a vector, than there can be."""
        super().check_sizes(rows, dim)
        if NUMBERS_PER_PART * self.config.parts > max(dim, NUMBERS_PER_PART):
            raise ValueError(f"parts={self.config.parts} of {NUMBERS_PER_PART} numbers are more than {dim}")

    def code_bytes(self, dim: int) -> int:  # noqa: ARG002
        """Half a byte a part."""
        parts: int = self.config.parts
        return (parts + 1) // 2

    def factory(self, dim: int) -> str:
        """The index as FAISS's factory names it."""
        parts, lists = self.config.parts, self.config.lists
        width = dim if dim < NUMBERS_PER_PART else NUMBERS_PER_PART * parts
        return f"OPQ{parts}_{width},IVF{lists},PQ{parts}x4fsr"

    def training(self, index: Any, source: Source) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """(n, D) rotated vectors to train the codes on, and (lists, D) centroids of them."""
        rotation = FAISS.downcast_VectorTransform(index.chain.at(0))
        quantiser = FAISS.ProductQuantizer(rotation.d_out, rotation.M, 4)
        quantiser.cp.seed = source.seed
        rotation.niter = OPQ_ROUNDS
        rotation.pq = quantiser  # of the same bits as the index; by default it is of 8, and slow to train
        sample = source.sample(self.points)
        rotation.train(sample[:OPQ_POINTS])
        rotation.pq = None
        rotated: NDArray[np.float32] = rotation.apply(sample)
        return rotated, cluster(rotated, self.config.lists, source.seed)

    def asked(self, effort: int, selector: Any) -> Any:
        """How many lists are searched, after the rotation."""
        return FAISS.SearchParametersPreTransform(index_params=super().asked(effort, selector))

    def inner(self, index: Any) -> Any:
        """The inverted file behind the rotation; None where there is no such rotation."""
        if not isinstance(index, FAISS.IndexPreTransform) or index.chain.size() != 1:
            return None
        rotation, ivf = index.chain.at(0), FAISS.downcast_index(index.index)
        return ivf if (rotation.d_in, rotation.d_out) == (index.d, ivf.d) else None
