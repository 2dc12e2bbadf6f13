"""HNSW: a graph of near neighbours over the stored vectors."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import faiss
import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from ...store.files import DamagedError
from ...store.kinds import IndexConfig, IndexKind, refuse_kind
from ...store.source import Source

__all__ = ["HNSW", "HNSWConfig"]

FAISS: Any = faiss  # its stubs know its C++ signatures, not those of its Python wrappers


class HNSWConfig(IndexConfig):
    """Settings of HNSW."""

    links: Annotated[int, Field(ge=2, le=512)] = 32
    """Links of a node; it has twice as many in the lowest layer."""


class HNSW(IndexKind):
    """Walks from neighbour to neighbour; efSearch nodes are kept as candidates.

    Which links are made depends on the thread that comes first, as FAISS adds with all of them; they are the
    same again with ``OMP_NUM_THREADS=1``.

    Args:
        config: how many links a node has.

    References:
        Malkov and Yashunin, Efficient and robust approximate nearest neighbor search using Hierarchical
        Navigable Small World graphs, 2018.
    """

    settings = HNSWConfig
    effort = "efSearch"
    least_effort = 16
    spelling = r"HNSW(?P<links>\d+)"

    @classmethod
    def proposals(cls, rows: int, dim: int) -> Sequence[Mapping[str, int]]:  # noqa: ARG003
        """32 links, as FAISS's wiki proposes."""
        return ({"links": 32},)

    def memory(self, rows: int, dim: int, stored: int) -> int:  # noqa: ARG002
        """Bytes of the stored vectors and of the links."""
        links: int = self.config.links
        return rows * (stored + 4 * (2 * links + 4))

    def trained(self, source: Source) -> Any:
        """An empty graph."""
        return FAISS.IndexHNSWFlat(source.dim, self.config.links, FAISS.METRIC_INNER_PRODUCT)

    def asked(self, effort: int, selector: Any) -> Any:
        """How many nodes are kept as candidates."""
        return FAISS.SearchParametersHNSW(efSearch=effort, sel=selector)

    def check(self, index: Any) -> None:
        """Refuse a graph whose links leave it; FAISS has looked at all but the layers above the lowest."""
        if not isinstance(index, FAISS.IndexHNSWFlat):
            raise refuse_kind(self)
        graph = index.hnsw
        layers = FAISS.vector_to_array(graph.levels)
        top, entry = graph.max_level + 1, graph.entry_point
        if len(layers) != index.ntotal or entry < 0 or not layers[entry] == top == layers.max():
            raise DamagedError("is damaged: its graph does not fit its vectors")
        for layer in range(1, top):
            linked = links_of(graph, np.flatnonzero(layers > layer), layer)
            if (layers[linked] <= layer).any():
                raise DamagedError("is damaged: its graph has links to nodes that are not there")

    def attach(self, index: Any, vectors: Any) -> Any:
        """The graph with the stored vectors, without which it was written."""
        index.storage, index.own_fields = vectors, False
        index.referenced_objects = [vectors]
        return index


def links_of(graph: Any, nodes: NDArray[np.int64], layer: int) -> NDArray[np.int32]:
    """The nodes that some nodes are linked to in a layer that they are in."""
    first, end = FAISS.vector_to_array(graph.cum_nneighbor_per_level)[layer : layer + 2].tolist()
    starts = FAISS.vector_to_array(graph.offsets)[nodes] + np.uint64(first)
    places = starts[:, None] + np.arange(end - first, dtype=np.uint64)
    links: NDArray[np.int32] = FAISS.rev_swig_ptr(graph.neighbors.data(), graph.neighbors.size())[places]
    return links[links >= 0]
