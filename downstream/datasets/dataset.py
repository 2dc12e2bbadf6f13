"""What every data set declares."""

from collections.abc import Callable
from dataclasses import dataclass

from sora_video.pretrain.encoders.embeddings import Embeddings
from sora_video.pretrain.video.corpus import Corpus

from .folder import Entry, Folder

__all__ = ["Dataset", "FeatureTable"]


@dataclass(frozen=True)
class FeatureTable:
    """Features that others computed, and what they are labelled with."""

    embeddings: Embeddings
    corpus: Corpus
    """A row a video; ``label`` is its first label, ``labels`` are all, with ``;`` between them."""


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """A data set: videos that lists name, or features that others computed."""

    title: str
    home: str
    """Where its owners give it out."""
    splits: str
    """Its split columns."""
    groups: str
    """What may not be on both sides of a split."""
    read: Callable[[Folder], list[Entry]] | None = None
    """The videos that its lists name; None: it has none."""
    read_features: Callable[[str], FeatureTable] | None = None
    """The features below a folder; None: it has none."""
