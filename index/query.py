"""A query: everything that one search asks for."""

from collections.abc import Collection
from dataclasses import KW_ONLY, dataclass, replace

import numpy as np
from numpy.typing import NDArray

from sora_video.base.errors import LibraryError
from sora_video.pretrain.encoders.aspects import Aspect
from sora_video.pretrain.encoders.embeddings import Embeddings

from .store.filters import Where

__all__ = ["AGREE", "Query", "asked_by", "without_times"]

AGREE = True
"""Whether a hit is sure only if it leads by each aspect too, where nothing else is said: film of one place
looks alike."""


@dataclass(frozen=True, eq=False)
class Query:
    """What to look for in a library, how many videos to find, and which of them may be found.

    Args:
        embeddings: N slices to look for, of the library's encoder.
        top: most videos to find.
        exclude: a video, or several, to leave out, whether the library holds them or not.
        where: filter of the slices; None: all.
        words: whether the embeddings are of texts. They are compared by cosine, as whitening is fitted to
            slices and texts lie elsewhere; and they come from no video, so there is no lead.
        by: aspect to compare by alone, such as ``"look"`` or ``"motion"``; None: whole embeddings.
        agree: whether a hit is sure only if it leads by each aspect of the library too. Of no effect where
            there are none, and on queries by one aspect or of words.
        weights: (N,) how much each slice counts in the likeness of a video, at least 0, not all of them 0;
            None: all the same.

    Raises:
        LibraryError: ``top`` is below 1, or the weights are not as many as the slices.
    """

    embeddings: Embeddings
    _: KW_ONLY
    top: int = 10
    exclude: Collection[str] = ()
    where: Where | None = None
    words: bool = False
    by: str | None = None
    agree: bool = AGREE
    weights: NDArray[np.float64] | None = None

    def __post_init__(self) -> None:
        if self.top < 1:
            raise LibraryError(f"top={self.top}: must be at least 1; ask for one video or more")
        if self.weights is not None and len(self.weights) != len(self.embeddings):
            raise LibraryError(
                f"weights: {len(self.weights)} of {len(self.embeddings)} slices; name one of each"
            )
        names = [self.exclude] if isinstance(self.exclude, str) else self.exclude
        object.__setattr__(self, "exclude", frozenset(names))


def asked_by(embeddings: Embeddings, aspect: Aspect | None) -> Embeddings:
    """Slices of a query, so that inner products with stored vectors are cosines by an aspect.

    Args:
        embeddings: of the query.
        aspect: to compare by alone; None: by whole embeddings.
    """
    return embeddings if aspect is None else replace(embeddings, vectors=aspect.asked(embeddings.vectors))


def without_times(
    vectors: NDArray[np.float32], fingerprint: str, name: str = "vectors", aspects: tuple[Aspect, ...] = ()
) -> Embeddings:
    """Vectors as the embeddings of slices whose times are unknown.

    Args:
        vectors: (N, D) L2-normalised.
        fingerprint: of their encoder.
        name: of their source, for messages.
        aspects: that they have.

    Returns:
        N slices of one video, each from 0 s to 0 s.

    Raises:
        LibraryError: the vectors are of another shape.
    """
    if vectors.ndim != 2:
        raise LibraryError(f"query {name}: has shape {vectors.shape}, must be (N, D), one vector per row")
    return Embeddings(
        video_id=np.full(len(vectors), name, object),
        slice_no=np.arange(len(vectors), dtype=np.int32),
        start_s=np.zeros(len(vectors)),
        end_s=np.zeros(len(vectors)),
        vectors=vectors,
        fingerprint=fingerprint,
        aspects=aspects,
    )
