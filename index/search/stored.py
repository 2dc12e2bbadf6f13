"""Where the videos that queries are compared with come from: a folder's snapshot, or a server."""

from collections.abc import Collection, Iterator
from typing import Protocol

import numpy as np

from sora_video.pretrain.encoders.aspects import Aspect

from ..store.segment import Block, Member
from ..store.snapshot import Held, Snapshot
from ..store.video_source import with_source
from ..store.whitening import Whitening
from .threads import threads_for

__all__ = ["SnapshotVideos", "Stored"]


class Stored(Protocol):
    """Gives stored videos, and what likeness is measured by."""

    def whitening(self, aspect: Aspect | None) -> Whitening:
        """The whitening of whole embeddings, or of the parts of an aspect.

        Args:
            aspect: None: of whole embeddings.
        """

    def blocks(self, video_ids: Collection[str]) -> Iterator[Block]:
        """All slices of some videos.

        Args:
            video_ids: stored videos.

        Yields:
            Whole videos, as they are read together.

        Raises:
            LibraryError: the store does not hold one of them, or cannot be read.
        """


class SnapshotVideos:
    """The videos of a library's folder.

    Args:
        snapshot: an opened library.
    """

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot

    def whitening(self, aspect: Aspect | None) -> Whitening:
        """See :class:`Stored`."""
        return self._snapshot.whitening(aspect)

    def blocks(self, video_ids: Collection[str]) -> Iterator[Block]:
        """See :class:`Stored`; the videos of one segment are read together."""
        held = self._snapshot.find_all(video_ids)
        for number in sorted({video.segment_no for video in held.values()}):
            yield self._block(number, [video for video in held.values() if video.segment_no == number])

    def _block(self, number: int, videos: list[Held]) -> Block:
        """Videos of one segment."""
        segment, entries = self._snapshot.whole(number), [video.entry for video in videos]
        rows = np.concatenate([np.arange(entry.first_row, entry.first_row + entry.rows) for entry in entries])
        with threads_for(len(rows) * self._snapshot.manifest.dim):
            vectors = segment.read(rows)
        members = [
            Member(v.entry.video_id, v.entry.content, with_source(v.attributes, v.source), v.entry.rows)
            for v in videos
        ]
        return Block(members, segment.columns(rows), vectors)
