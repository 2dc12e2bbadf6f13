"""The embeddings of a corpus's chunks, put into one table."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sora_video.base.errors import CorpusError
from sora_video.pretrain.video.corpus import Corpus
from sora_video.pretrain.video.quarantine import Failure

from .aspects import Aspect
from .embeddings import Embeddings

__all__ = ["Rows", "gather_rows"]


class Rows(NamedTuple):
    """A chunk's share of the table."""

    start_s: NDArray[np.float64]
    end_s: NDArray[np.float64]
    vectors: NDArray[np.float32]


def gather_rows(
    corpus: Corpus,
    rows: Mapping[int, Sequence[Rows]],
    failures: Mapping[int, str],
    fingerprint: str,
    aspects: tuple[Aspect, ...] = (),
) -> Embeddings:
    """Sort rows by corpus entry; a video that cannot be read to its end has none.

    A span without sound leaves the other spans of its file alone.

    Args:
        corpus: what was read.
        rows: chunks by the entry's number, in order of time.
        failures: why an entry cannot be read, by its number.
        fingerprint: of the encoder.
        aspects: of its embeddings.

    Returns:
        The embeddings by video and time, and which videos could not be read.

    Raises:
        CorpusError: no row is left.
    """
    name = [video.video_id for video in corpus.videos]
    unreadable = {name[entry] for entry in failures}
    silent = [entry for entry, parts in rows.items() if not any(len(part.vectors) for part in parts)]
    failures = {**failures} | dict.fromkeys(silent, "no sound in any of its slices")
    failed = {name[entry]: reason for entry, reason in sorted(failures.items())}
    kept = [
        (name[entry], part)
        for entry in sorted(rows)
        for part in rows[entry]
        if name[entry] not in unreadable and len(part.vectors)
    ]
    if not kept:
        first, reason = next(iter(failed.items()))
        raise CorpusError(
            f"{first}: {reason}; none of {len(failed)} videos can be read, see `sora scan`",
            [Failure(*item) for item in failed.items()],
        )
    ids: list[str] = [video_id for video_id, part in kept for _ in part.start_s]
    seen: Counter[str] = Counter()
    numbers = []
    for video_id in ids:
        numbers.append(seen[video_id])
        seen[video_id] += 1
    return Embeddings(
        video_id=np.array(ids, dtype=object),
        slice_no=np.array(numbers, np.int32),
        start_s=np.concatenate([part.start_s for _, part in kept]),
        end_s=np.concatenate([part.end_s for _, part in kept]),
        vectors=np.concatenate([part.vectors for _, part in kept]),
        fingerprint=fingerprint,
        failures=tuple(Failure(video_id, reason) for video_id, reason in failed.items()),
        root=str(corpus.root.absolute()),
        aspects=aspects,
    )
