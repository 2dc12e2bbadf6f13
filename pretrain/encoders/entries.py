"""Slices by the entry of a corpus in whose span they lie, and their mean."""

import numpy as np
from numpy.typing import NDArray

from sora_video.pretrain.video.corpus import Corpus

from .embeddings import Embeddings

__all__ = ["pool", "rows_by_entry"]

TOLERANCE_S = 1e-6


def pool(embeddings: Embeddings, corpus: Corpus) -> NDArray[np.float32]:
    """Mean of the slices that lie in each corpus entry's span, L2-normalised; zeros where there are none.

    Args:
        embeddings: slices of the corpus.
        corpus: N videos or spans of videos.

    Returns:
        (N, D) features.
    """
    features = np.zeros((len(corpus), embeddings.dim), np.float32)
    for entry, rows in enumerate(rows_by_entry(embeddings, corpus)):
        if len(rows):
            mean = embeddings.vectors[rows].mean(0)
            features[entry] = mean / max(float(np.linalg.norm(mean)), 1e-12)
    return features


def rows_by_entry(embeddings: Embeddings, corpus: Corpus) -> list[NDArray[np.int64]]:
    """The rows of the slices that lie in each corpus entry's span, in order of time.

    Args:
        embeddings: of any videos.
        corpus: its entries may be spans of one video.

    Returns:
        By entry, (n,) row numbers; none where the embeddings lack the video.
    """
    rows: dict[str, list[int]] = {}
    for row, video_id in enumerate(embeddings.video_id):
        rows.setdefault(video_id, []).append(row)
    rows_of_entries = []
    for video in corpus.videos:
        video_rows = np.array(rows.get(video.video_id, []), np.int64)
        end_s = np.inf if video.end_s is None else video.end_s + TOLERANCE_S
        starts_inside = embeddings.start_s[video_rows] >= video.start_s - TOLERANCE_S
        rows_of_entries.append(video_rows[starts_inside & (embeddings.end_s[video_rows] <= end_s)])
    return rows_of_entries
