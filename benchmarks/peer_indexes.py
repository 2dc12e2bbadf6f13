"""Other packages' indexes over the same vectors, where they are installed.

``pip install -e '.[bench]'`` installs USearch. autofaiss asks for faiss-cpu, which must not lie beside
faiss-gpu; ``pip install --no-deps autofaiss embedding-reader fire fsspec pandas pytz`` leaves it out.
"""

import logging
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["PEERS", "Search"]

Search = Callable[[NDArray[np.float32], int], NDArray[Any]]


def autofaiss(vectors: NDArray[np.float32]) -> tuple[int, Search]:
    """Its choice at 10 ms a query, of any size; bytes, and a search."""
    import faiss
    from autofaiss import build_index

    index, _ = build_index(
        vectors, save_on_disk=False, metric_type="ip", max_index_query_time_ms=10, verbose=logging.WARNING
    )
    return len(faiss.serialize_index(index)), lambda queries, k: index.search(queries, k)[1]


def usearch(vectors: NDArray[np.float32]) -> tuple[int, Search]:
    """Its graph of float32 with default links; bytes, and a search at default effort."""
    from usearch.index import Index

    index = Index(ndim=vectors.shape[1], metric="ip", dtype="f32", expansion_search=64)
    index.add(np.arange(len(vectors)), vectors)
    return index.serialized_length, lambda queries, k: np.atleast_2d(index.search(queries, k).keys)


PEERS: dict[str, Callable[[NDArray[np.float32]], tuple[int, Search]]] = {}
if find_spec("autofaiss"):
    PEERS["autofaiss, 10 ms a query"] = autofaiss
if find_spec("usearch"):
    PEERS["USearch, expansion 64"] = usearch
