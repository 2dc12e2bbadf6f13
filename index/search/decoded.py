"""Exact search of vectors in half precision by many queries: each vector is decoded once for all of them."""

from typing import Any

import faiss
import numpy as np
from numpy.typing import NDArray

__all__ = ["is_coded", "search_decoded"]

FAISS: Any = faiss  # its stubs know its C++ signatures, not those of its Python wrappers

BLOCK = 65_536
"""Vectors decoded at once."""


def is_coded(index: Any) -> bool:
    """Whether FAISS decodes an index's vectors for each query, and so reads all of them as often.

    Args:
        index: a FAISS index.
    """
    return isinstance(index, FAISS.IndexScalarQuantizer)


def search_decoded(
    index: Any, vectors: NDArray[np.float32], count: int
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """The nearest vectors of an index by inner product.

    Args:
        index: see :func:`is_coded`.
        vectors: (Q, D) queries.
        count: how many of each.

    Returns:
        (Q, ``count``) inner products and rows, best first; row -1 where there are no more.
    """
    best = FAISS.ResultHeap(len(vectors), count, keep_max=True)
    for first in range(0, index.ntotal, BLOCK):
        block = index.reconstruct_n(first, min(BLOCK, index.ntotal - first))
        products, rows = FAISS.knn(vectors, block, min(count, len(block)), metric=FAISS.METRIC_INNER_PRODUCT)
        best.add_result(products, rows + first)
    best.finalize()
    return best.D, best.I
