"""An inverted file of vectors of one byte a number."""

from .inverted import RERANKED, Inverted

__all__ = ["IVFSQ8"]


class IVFSQ8(Inverted):
    """Lists of vectors whose numbers are rounded to 8 bits; candidates are re-ranked."""

    on_disk = True
    rerank = RERANKED
    spelling = r"IVF(?P<lists>\d+),SQ8"

    def code_bytes(self, dim: int) -> int:
        """One byte a number."""
        return dim

    def factory(self, dim: int) -> str:  # noqa: ARG002
        """The index as FAISS's factory names it."""
        return f"IVF{self.config.lists},SQ8"
