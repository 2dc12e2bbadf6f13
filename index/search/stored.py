"""Where the videos that queries are compared with come from: a folder's snapshot, or a server."""

from collections.abc import Collection, Iterator
from typing import Protocol

import numpy as np

from sora_video.pretrain.encoders.aspects import Aspect

from ..store.block import Block, Member
from ..store.snapshot import Snapshot
from ..store.table import Entry
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
        return self._snapshot.whitenings.by(aspect)

    def blocks(self, video_ids: Collection[str]) -> Iterator[Block]:
        """See :class:`Stored`; the videos of one segment are read together, without their attributes."""
        for number, entries in self._snapshot.entries(video_ids).items():
            yield self._block(number, [*entries.values()])

    def _block(self, number: int, entries: list[Entry]) -> Block:
        """Videos of one segment."""
        segment = self._snapshot.whole(number)
        rows = np.concatenate([np.arange(entry.first_row, entry.first_row + entry.rows) for entry in entries])
        with threads_for(len(rows) * self._snapshot.manifest.dim):
            vectors = segment.read(rows)
        members = [Member(entry.video_id, entry.content, {}, entry.rows) for entry in entries]
        return Block(members, segment.columns(rows), vectors)
