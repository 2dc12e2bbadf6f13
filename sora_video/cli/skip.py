"""A corpus without the videos that a scan could not read."""

from pathlib import Path
from typing import TYPE_CHECKING

from sora_video.base import console

if TYPE_CHECKING:
    from sora_video.pretrain.video.corpus import Source

__all__ = ["without_unreadable"]


def without_unreadable(source: str, skip: Path | None) -> "Source":
    """A corpus without the videos that a scan could not read.

    Args:
        source: the corpus as the user named it.
        skip: the scan's table; None: leave nothing out.

    Raises:
        CorpusError: no video is left, or the table is not of a scan.
    """
    if skip is None:
        return source
    from sora_video.pretrain.video.corpus import open_corpus

    corpus = open_corpus(source, skip=skip)
    console.warn(f"{corpus.skipped} videos are left out: {skip} lists them as unreadable")
    return corpus
