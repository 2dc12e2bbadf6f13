"""Videos of a library in Milvus with their vectors, which our own code compares."""

from collections.abc import Collection as Names
from collections.abc import Iterator

import numpy as np

from sora_video.base.errors import LibraryError
from sora_video.pretrain.encoders.aspects import Aspect

from ..store.block import Block, Member
from ..store.table import Slices
from ..store.whitening import ALL, Whitening, fit_whitening
from .collection import Collection
from .connection import ROW_BYTES
from .filters import among, visible
from .rows import FIELDS, blocks_of
from .state import State
from .whitenings import read_whitenings

__all__ = ["ServedVideos"]

KEPT_BYTES = 1 << 28
"""Vectors that are kept: a search compares the same videos several times."""
NAMES_AT_ONCE = 256


class ServedVideos:
    """Gives the videos of a library in Milvus; see :class:`sora_video.index.search.stored.Stored`.

    Args:
        collection: an opened library.
    """

    def __init__(self, collection: Collection) -> None:
        self._collection = collection
        self._generation = -1
        self._kept: dict[str, Block] = {}
        self._whitenings: tuple[str | None, dict[str, Whitening]] = (None, {})

    def whitening(self, aspect: Aspect | None) -> Whitening:
        """See :class:`~sora_video.index.search.stored.Stored`."""
        if self._whitenings[0] is None or self._whitenings[0] != self._collection.state.whitening:
            return self._collection.read(lambda state: self._whitening(state, aspect))
        return self._whitening(self._collection.state, aspect)

    def _whitening(self, state: State, aspect: Aspect | None) -> Whitening:
        """The whitening of one commit."""
        if state.whitening is None:
            dim = state.manifest.dim if aspect is None else aspect.end - aspect.start
            return fit_whitening(np.zeros((0, dim), np.float32))
        if self._whitenings[0] != state.whitening:
            self._whitenings = (state.whitening, read_whitenings(self._collection, state))
        name = ALL if aspect is None else aspect.name
        return self._whitenings[1][name]

    def blocks(self, video_ids: Names[str]) -> Iterator[Block]:
        """See :class:`~sora_video.index.search.stored.Stored`."""
        names = [*dict.fromkeys(video_ids)]
        for first in range(0, len(names), NAMES_AT_ONCE):
            part = names[first : first + NAMES_AT_ONCE]
            yield joined(self._collection.read(lambda state, part=part: self._videos(state, part)))  # type: ignore[misc]

    def _videos(self, state: State, names: list[str]) -> list[Block]:
        """Videos of one commit, each alone.

        Raises:
            LibraryError: the library does not hold one of them.
        """
        if state.generation != self._generation or self._bytes() > KEPT_BYTES:
            self._kept, self._generation = {}, state.generation
        missing = [name for name in names if name not in self._kept]
        if missing:
            self._kept |= self._fetch(state, missing)
        if unknown := sorted(set(missing) - self._kept.keys()):
            raise LibraryError(
                f"library {self._collection.address}: has no video {', '.join(unknown)}; nothing was done, "
                "correct the name"
            )
        return [self._kept[name] for name in names]

    def _bytes(self) -> int:
        """Size of the vectors that are kept."""
        return sum(block.vectors.nbytes for block in self._kept.values())

    def _fetch(self, state: State, names: list[str]) -> dict[str, Block]:
        """Videos as the server has them."""
        rows = self._collection.connection.rows(
            self._collection.name,
            f"{visible(state)} and {among(names)}",
            FIELDS,
            row_bytes=4 * state.manifest.dim + ROW_BYTES,
        )
        return {
            member.video_id: alone
            for block in blocks_of(rows, str(self._collection.address))
            for member, alone in split(block)
        }


def split(block: Block) -> Iterator[tuple[Member, Block]]:
    """Each video of a block with a block of its own."""
    first = 0
    for member in block.members:
        rows = np.arange(first, first + member.rows)
        first += member.rows
        yield member, Block([member], block.slices.take(rows), block.vectors[rows])


def joined(blocks: list[Block]) -> Block:
    """Several blocks as one."""
    if len(blocks) == 1:
        return blocks[0]
    columns = zip(*(block.slices for block in blocks), strict=True)
    return Block(
        [member for block in blocks for member in block.members],
        Slices(*(np.concatenate(column) for column in columns)),
        np.concatenate([block.vectors for block in blocks]),
    )
