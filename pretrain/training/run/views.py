"""A picture of what the network sees."""

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.nn.functional import pad

from sora_video.base.files import atomic_path
from sora_video.configs.augment import AugmentConfig

from ..batch import Batch
from ..inputs import view
from ..rows import Rows, local_rows, slice_rows

__all__ = ["draw_views"]

VIDEOS = 4
"""Videos shown of a batch."""
GAP, VIDEO_GAP = 2, 8
"""White pixels after each frame and each view, and after each video."""


def draw_views(batch: Batch, augment: AugmentConfig, dtype: torch.dtype, path: Path) -> None:
    """Write the views of a batch's first videos: a row a view, its frames in the order that they are seen in.

    Below those of a video's slices are slices in another order, and local views, where the run has them.

    Args:
        batch: slices with the views to make of them.
        augment: sizes of the views.
        dtype: arithmetic of the augmentation.
        path: the PNG file.

    Raises:
        StorageError: the disk is full.
    """
    pixels = strips(batch, augment, dtype)
    with atomic_path(path) as beside:
        Image.fromarray(pixels).save(beside)


def strips(batch: Batch, augment: AugmentConfig, dtype: torch.dtype) -> NDArray[np.uint8]:
    """The picture, (height, width, 3)."""
    first = batch.map(lambda column: column[:VIDEOS]).with_tubelets()
    time = first.slices.frames.shape[2]
    shown = [pictures(slice_rows(first), augment.size, dtype)]
    if first.local:
        shown.append(pictures(local_rows(first, augment.local_frames or time), augment.local_size, dtype))
    cell = max(clips.shape[4] for clips in shown) + GAP
    cells = torch.cat([framed(clips, time, cell) for clips in shown], 1).transpose(2, 3)
    videos, rows = cells.shape[:2]
    strip = pad(cells.reshape(videos, rows * cell, time * cell, 3), (0, 0, 0, 0, 0, VIDEO_GAP), value=1.0)
    picture: NDArray[np.uint8] = strip.flatten(0, 1).mul(255).round().byte().cpu().numpy()
    return picture


def pictures(rows: Rows, size: int, dtype: torch.dtype) -> Tensor:
    """(V, M, T, size, size, 3) the frames of M views of each of V videos."""
    count = rows.views.picture.shape[:2]
    clips = view(*rows.flat(), size, dtype).clips.permute(0, 2, 3, 4, 1)
    return clips.reshape(*count, *clips.shape[1:])


def framed(clips: Tensor, time: int, cell: int) -> Tensor:
    """(V, M, ``time``, ``cell``, ``cell``, 3) frames with white beside and below them, and after the last."""
    short, narrow = time - clips.shape[2], cell - clips.shape[4]
    return pad(clips, (0, 0, 0, narrow, 0, narrow, 0, short), value=1.0)
