"""The mean embedding of each video."""

import numpy as np
from numpy.typing import NDArray

from .block import Block
from .compact import visible_blocks
from .snapshot import Snapshot

__all__ = ["video_means"]


def video_means(snapshot: Snapshot) -> tuple[list[str], NDArray[np.float32]]:
    """The mean of each video's slices, read block by block.

    Slices that show nothing count only where a video has no others.

    Args:
        snapshot: the library; what is damaged is left out.

    Returns:
        V names, sorted, and (V, D) means.

    Raises:
        LibraryError: the file of edited attributes is damaged.
    """
    names, means = list[str](), [np.zeros((0, snapshot.manifest.dim), np.float32)]
    for block in visible_blocks(snapshot.searchable, snapshot.edits()):
        names += [member.video_id for member in block.members]
        means.append(means_of(block))
    order = sorted(range(len(names)), key=names.__getitem__)
    return [names[number] for number in order], np.concatenate(means)[order]


def means_of(block: Block) -> NDArray[np.float32]:
    """(videos, D) of some videos."""
    rows = np.array([member.rows for member in block.members])
    first = np.cumsum(rows) - rows
    shown = (~block.slices.still).astype(np.float32)
    blank = np.repeat(np.add.reduceat(shown, first) == 0, rows)
    weights = np.where(blank, np.float32(1), shown)
    sums = np.add.reduceat(block.vectors * weights[:, None], first, axis=0)
    return (sums / np.add.reduceat(weights, first)[:, None]).astype(np.float32)
