"""Exact search of the stored vectors."""

from typing import Any

import faiss

from ...store.kinds import IndexKind
from ...store.source import Source

__all__ = ["Flat"]

FAISS: Any = faiss  # its stubs know its C++ signatures, not those of its Python wrappers


class Flat(IndexKind):
    """The stored vectors themselves; nothing is built or written."""

    fewest_rows = 0
    on_gpu = True
    spelling = "Flat"

    def memory(self, rows: int, dim: int, stored: int) -> int:  # noqa: ARG002
        """Bytes of the stored vectors, all of which a search reads."""
        return rows * stored

    def trained(self, source: Source) -> Any:
        """The stored vectors, which need no training."""
        return source.vectors

    def build(self, source: Source) -> Any:
        """The stored vectors."""
        return source.vectors

    def asked(self, effort: int, selector: Any) -> Any:  # noqa: ARG002
        """Which rows may be found."""
        return None if selector is None else FAISS.SearchParameters(sel=selector)
