"""Where in the videos found a query is: moments, and the alignment of a query of several slices."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from sora_video.pretrain.embeddings import Embeddings

from .align import align
from .moments import find_moments, match_level

if TYPE_CHECKING:
    from .library import Library
    from .search import Hit

__all__ = ["by_time", "localize"]


def localize(library: "Library", query: Embeddings, hits: "Sequence[Hit]") -> "list[Hit]":
    """Add moments and alignments to what a search found.

    Args:
        library: where it was found.
        query: what was looked for, slices of one video.
        hits: what :meth:`sora_video.index.library.Library.search` returned.

    Returns:
        The same hits in the same order with their ``moments``, and for a query of several slices that
        have times ``aligned``.

    Raises:
        LibraryError: the library was damaged since.
    """
    if not hits:
        return []
    query = by_time(query)
    videos = [by_time(library.embeddings(hit.video_id)) for hit in hits]
    in_time = len(query) > 1 and query.end_s.max() > query.start_s.min()
    similarities = [query.vectors @ video.vectors.T for video in videos]
    least = match_level(similarities)
    found = []
    for hit, video, similarity in zip(hits, videos, similarities, strict=True):
        times = (query.start_s, query.end_s, video.start_s, video.end_s)
        moments = find_moments(similarity.max(axis=0), video.start_s, video.end_s, least)
        aligned = align(similarity, *times, least) if in_time else []
        found.append(replace(hit, moments=tuple(moments), aligned=tuple(aligned)))
    return found


def by_time(embeddings: Embeddings) -> Embeddings:
    """The slices of one video in order of time."""
    return embeddings.select(np.lexsort((embeddings.end_s, embeddings.start_s)))
