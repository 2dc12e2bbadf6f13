"""A picture of what the network sees."""

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch.nn.functional import pad

from sora_video.base.files import atomic_path
from sora_video.pretrain.views.picture import apply_views

from ..batch import Batch

__all__ = ["draw_views"]

VIDEOS = 4
"""Videos shown of a batch."""
GAP, VIDEO_GAP = 2, 8
"""White pixels after each frame and each view, and after each video."""


def draw_views(batch: Batch, size: int, dtype: torch.dtype, path: Path) -> None:
    """Write the views of a batch's first videos: a row a view, its frames in time order.

    Args:
        batch: slices with the views to make of them.
        size: side of a view in pixels.
        dtype: arithmetic of the augmentation.
        path: the PNG file.

    Raises:
        StorageError: the disk is full.
    """
    pixels = strips(batch, size, dtype)
    with atomic_path(path) as beside:
        Image.fromarray(pixels).save(beside)


def strips(batch: Batch, size: int, dtype: torch.dtype) -> NDArray[np.uint8]:
    """The picture, (height, width, 3)."""
    frames, views = batch.by_view(batch.slices.frames[:VIDEOS]), batch.views.picture[:VIDEOS]
    videos, rows, time = frames.shape[:3]
    clips = apply_views(frames.flatten(0, 1), views.flatten(0, 1), size, dtype)
    cell = size + GAP
    cells = pad(clips.permute(0, 2, 3, 4, 1), (0, 0, 0, GAP, 0, GAP), value=1.0)
    cells = cells.view(videos, rows, time, cell, cell, 3).transpose(2, 3)
    strip = pad(cells.reshape(videos, rows * cell, time * cell, 3), (0, 0, 0, 0, 0, VIDEO_GAP), value=1.0)
    picture: NDArray[np.uint8] = strip.flatten(0, 1).mul(255).round().byte().cpu().numpy()
    return picture
