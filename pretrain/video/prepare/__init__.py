"""Small copies of a corpus's videos, for training."""

from .corpus import Prepared, prepare_corpus

__all__ = ["Prepared", "prepare_corpus"]
