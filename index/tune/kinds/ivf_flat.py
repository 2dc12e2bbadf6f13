"""An inverted file of whole vectors."""

from .inverted import Inverted

__all__ = ["IVFFlat"]


class IVFFlat(Inverted):
    """Lists of float32 vectors; their inner products are exact."""

    on_disk = True
    spelling = r"IVF(?P<lists>\d+),Flat"

    def code_bytes(self, dim: int) -> int:
        """Four bytes a number."""
        return 4 * dim

    def factory(self, dim: int) -> str:  # noqa: ARG002
        """The index as FAISS's factory names it."""
        return f"IVF{self.config.lists},Flat"
