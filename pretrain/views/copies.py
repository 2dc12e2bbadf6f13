"""What copies of videos undergo, applied to views of whole batches on the model's device."""

import torch
from torch import Tensor

from .compression import compress
from .cover import cover
from .draw_copy import RECTANGLE_FIELDS, RECTANGLES

__all__ = ["apply_copies"]


def apply_copies(clips: Tensor, copies: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
    """Cover parts of views, then compress them.

    Args:
        clips: (N, 3, T, S, S) float32 in [0, 1], stored channels-last; changed in place.
        copies: (N, ``COPY_FIELDS``) float32 from :func:`.draw_copy.draw_copy`, or (N, 0) for no change.
        dtype: arithmetic of the compression.

    Returns:
        The clips.
    """
    if copies.shape[1] == 0:
        return clips
    pixels = clips.permute(0, 2, 3, 4, 1)
    blocks, quality = copies[:, :2].unbind(1)
    rectangles = copies[:, 2:].reshape(-1, RECTANGLES, RECTANGLE_FIELDS)
    rows = (rectangles[..., 4] > 0).any(1).nonzero().flatten()
    if len(rows):
        replace(pixels, rows, cover(pixels.index_select(0, rows), rectangles[rows]))
    rows = blocks.nonzero().flatten()
    if len(rows):
        changed = compress(pixels.index_select(0, rows), blocks[rows], quality[rows], dtype)
        replace(pixels, rows, changed)
    return clips


def replace(pixels: Tensor, rows: Tensor, changed: Tensor) -> None:
    """Write some rows of pixels; the fastest way on a CPU of several."""
    pixels.flatten(1).index_copy_(0, rows, changed.flatten(1))
