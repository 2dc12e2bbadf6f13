"""The embeddings of a corpus's chunks, put together video by video."""

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sora_video.base.errors import CorpusError
from sora_video.pretrain.video.corpus import Corpus
from sora_video.pretrain.video.quarantine import Failure

from .aspects import Aspect
from .embeddings import Embeddings

__all__ = ["Gathering", "Rows", "VideoRows", "none_left", "table_of"]

SILENT = "no sound in any of its slices"


class Rows(NamedTuple):
    """Slices of one video."""

    start_s: NDArray[np.float64]
    end_s: NDArray[np.float64]
    vectors: NDArray[np.float32]
    still: NDArray[np.bool_]
    """Whether a slice shows nothing, see :mod:`sora_video.pretrain.video.still`."""


class VideoRows(NamedTuple):
    """What became of one video."""

    entry: int
    """Its first in the corpus."""
    video_id: str
    rows: Rows | None
    """All its slices, by entry and time; None: it cannot be read to its end, or has no sound."""
    failure: Failure | None
    """Why it, or one of its spans, has no rows; None: all of it has some."""


class Gathering:
    """Puts chunks together until a video is whole; only videos that are being read are held.

    Args:
        corpus: what is read; its entries may be spans of one video.
    """

    def __init__(self, corpus: Corpus) -> None:
        self.names = [video.video_id for video in corpus.videos]
        self.left = Counter(self.names)
        self.begun: dict[str, dict[int, list[Rows] | str]] = {}

    def add(self, entry: int, item: Rows | Failure, *, last: bool) -> VideoRows | None:
        """Take a chunk, or the reason why an entry cannot be read.

        Args:
            entry: its number in the corpus.
            item: the next slices of the entry, or why there are none.
            last: whether it is the last item of the entry.

        Returns:
            The whole video, once all its entries are done.
        """
        name = self.names[entry]
        entries = self.begun.setdefault(name, {})
        if isinstance(item, Failure):
            entries[entry] = item.reason
        else:
            chunks = entries.setdefault(entry, [])
            assert isinstance(chunks, list)
            chunks.append(item)
        self.left[name] -= last
        return None if self.left[name] else whole(name, self.begun.pop(name))


def whole(name: str, entries: dict[int, list[Rows] | str]) -> VideoRows:
    """One video, of the chunks of its entries or the reasons why these cannot be read.

    One that cannot be read to its end has no rows; a span without sound leaves the others alone.
    """
    reason, chunks, is_readable = None, [], True
    for _, item in sorted(entries.items()):
        if isinstance(item, str):
            reason, is_readable = item, False
        elif any(len(part.vectors) for part in item):
            chunks += item
        else:
            reason = SILENT
    rows = Rows(*map(np.concatenate, zip(*chunks, strict=True))) if chunks and is_readable else None
    return VideoRows(min(entries), name, rows, Failure(name, reason) if reason else None)


def table_of(
    corpus: Corpus,
    videos: Sequence[VideoRows],
    fingerprint: str,
    aspects: tuple[Aspect, ...] = (),
    model: str | None = None,
) -> Embeddings:
    """One table of videos, those that have no rows named as its failures.

    Args:
        corpus: that they are of.
        videos: at least one of them with rows.
        fingerprint: of the encoder.
        aspects: of its embeddings.
        model: spec of the encoder.
    """
    read = [(video.video_id, video.rows) for video in videos if video.rows]
    return Embeddings(
        video_id=np.array([name for name, rows in read for _ in rows.start_s], dtype=object),
        slice_no=np.concatenate([np.arange(len(rows.start_s), dtype=np.int32) for _, rows in read]),
        start_s=np.concatenate([rows.start_s for _, rows in read]),
        end_s=np.concatenate([rows.end_s for _, rows in read]),
        vectors=np.concatenate([rows.vectors for _, rows in read]),
        still=np.concatenate([rows.still for _, rows in read]),
        fingerprint=fingerprint,
        failures=tuple(video.failure for video in videos if video.failure),
        root=str(corpus.root.absolute()),
        aspects=aspects,
        model=model,
    )


def none_left(failures: Sequence[Failure]) -> CorpusError:
    """The error of a corpus of which no slice can be read.

    Args:
        failures: of all its videos.
    """
    first = failures[0]
    return CorpusError(
        f"{first.video_id}: {first.reason}; none of {len(failures)} videos can be read, see `sora scan`",
        list(failures),
    )
