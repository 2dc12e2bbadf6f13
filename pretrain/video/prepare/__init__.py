"""Small copies of a corpus's videos, for training."""

from .corpus import Prepared, prepare_corpus
from .transcode import upright_size

__all__ = ["Prepared", "prepare_corpus", "upright_size"]
