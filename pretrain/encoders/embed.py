"""The core of embedding, which every engine calls."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from sora_video.pretrain.video.corpus import Corpus

from .embeddings import Embeddings

if TYPE_CHECKING:
    from .frozen import VideoEncoder

__all__ = ["embed_videos"]


def embed_videos(
    corpus: Corpus, encoder: "VideoEncoder", *, progress: bool = False, indexes: Path | None = None
) -> Iterator[Embeddings]:
    """Embed the videos of a corpus; a video's rows depend on the video and the encoder alone.

    Args:
        corpus: videos; spans of one video lie in the same corpus.
        encoder: what embeds.
        progress: show a bar on standard error.
        indexes: see :func:`sora_video.pretrain.video.read.read_videos`.

    Yields:
        A table of each video, in the order in which they are done. A video without rows, or of which a span
        has none, is named in its table's ``failures``.

    Raises:
        RunError: an embedding is not finite.
    """
    for video in encoder.embed_videos(corpus, progress=progress, indexes=indexes):
        yield encoder.table(corpus, [video])
