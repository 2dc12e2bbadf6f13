"""The embeddings of a corpus's chunks, put together video by video."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sora_video.base.errors import CorpusError
from sora_video.pretrain.video.corpus import Corpus
from sora_video.pretrain.video.quarantine import Failure

from .aspects import Aspect
from .embeddings import Embeddings

__all__ = [
    "SILENT",
    "Gathering",
    "Rows",
    "VideoRows",
    "drop_zeros",
    "has_embedding",
    "none_left",
    "table_of",
    "why_empty",
    "without_zeros",
]

SILENT = "no sound in any of its slices"
BLANK = "the encoder sees nothing in any of its slices, as some do where nothing moves"
LEAST_LENGTH = 0.5
"""Of an embedding; others have a length of 1."""


class Rows(NamedTuple):
    """Slices of one video."""

    start_s: NDArray[np.float64]
    end_s: NDArray[np.float64]
    vectors: NDArray[np.float32]
    still: NDArray[np.bool_]
    """Whether a slice shows nothing, see :mod:`sora_video.pretrain.video.still`."""

    def select(self, rows: NDArray[np.bool_]) -> "Rows":
        """Some of the slices.

        Args:
            rows: (n,) mask.
        """
        return Rows(self.start_s[rows], self.end_s[rows], self.vectors[rows], self.still[rows])


class VideoRows(NamedTuple):
    """What became of one video."""

    entry: int
    """Its first in the corpus."""
    video_id: str
    rows: Rows | None
    """All its slices that have an embedding, by entry and time; None: it cannot be read to its end, or none
    has."""
    failure: Failure | None
    """Why it, or one of its spans, has no rows; None: all of it has some."""


class Gathering:
    """Puts chunks together until a video is whole; only videos that are being read are held.

    Args:
        corpus: what is read; its entries may be spans of one video.
        empty: why an entry of which no slice has an embedding has none.
    """

    def __init__(self, corpus: Corpus, empty: str) -> None:
        self.empty = empty
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
        return None if self.left[name] else whole(name, self.begun.pop(name), self.empty)


def whole(name: str, entries: dict[int, list[Rows] | str], empty: str) -> VideoRows:
    """One video, of the chunks of its entries or the reasons why these cannot be read.

    One that cannot be read to its end has no rows; a span without embeddings leaves the others alone.
    """
    reason, chunks, is_readable = None, [], True
    for _, item in sorted(entries.items()):
        if isinstance(item, str):
            reason, is_readable = item, False
        elif any(len(part.vectors) for part in item):
            chunks += item
        else:
            reason = empty
    rows = Rows(*map(np.concatenate, zip(*chunks, strict=True))) if chunks and is_readable else None
    return VideoRows(min(entries), name, rows, Failure(name, reason) if reason else None)


def table_of(
    corpus: Corpus,
    videos: Sequence[VideoRows],
    dim: int,
    fingerprint: str,
    aspects: tuple[Aspect, ...] = (),
    model: str | None = None,
) -> Embeddings:
    """One table of videos, those that have no rows named as its failures.

    Args:
        corpus: that they are of.
        videos: at least one.
        dim: of the embeddings, D.
        fingerprint: of the encoder.
        aspects: of its embeddings.
        model: spec of the encoder.
    """
    read = [(video.video_id, video.rows or no_rows(dim)) for video in videos]
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


def no_rows(dim: int) -> Rows:
    """The rows of a video that has none."""
    return Rows(np.empty(0), np.empty(0), np.empty((0, dim), np.float32), np.empty(0, np.bool_))


def has_embedding(vectors: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Which slices have an embedding; an encoder of motion may make zeros of those in which nothing moves.

    Args:
        vectors: (N, D) of length 1 or 0.

    Returns:
        (N,) True where the length is 1.
    """
    lengths = np.linalg.norm(vectors, axis=1)
    return np.asarray(~(lengths < LEAST_LENGTH))  # what is not finite is for others to refuse


def without_zeros(embeddings: Embeddings) -> Embeddings:
    """A table without rows that are no embeddings, see :func:`has_embedding`.

    Args:
        embeddings: of any videos.

    Returns:
        The other rows; videos that have none are added to its ``failures``.

    Raises:
        CorpusError: no row is left.
    """
    rest = drop_zeros(embeddings)
    if len(embeddings) and not len(rest):
        raise none_left(rest.failures)
    return rest


def drop_zeros(embeddings: Embeddings) -> Embeddings:
    """As :func:`without_zeros`, but no row need be left.

    Args:
        embeddings: of any videos.
    """
    is_there = has_embedding(embeddings.vectors)
    if is_there.all():
        return embeddings
    rest = embeddings.select(is_there)
    left = set(rest.videos())
    empty = [Failure(name, BLANK) for name in embeddings.videos() if name not in left]
    return replace(rest, failures=(*rest.failures, *empty))


def why_empty(by: str | None) -> str:
    """Why a video that can be read has no embedding.

    Args:
        by: the aspect that its slices were embedded by; None: all.
    """
    return SILENT if by == "sound" else BLANK


def none_left(failures: Sequence[Failure]) -> CorpusError:
    """The error of a corpus of which no slice can be read, or none has an embedding.

    Args:
        failures: of all its videos.
    """
    first, count = failures[0], len(failures)
    if any(failure.reason not in (SILENT, BLANK) for failure in failures):
        told = f"none of {count} videos can be read, see `sora scan`"
    else:
        told = f"none of {count} videos has an embedding; choose other videos, or another --model or --by"
    return CorpusError(f"{first.video_id}: {first.reason}; {told}", list(failures))
