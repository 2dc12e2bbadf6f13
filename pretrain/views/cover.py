"""Rectangles that cover parts of views: captions, logos, and bars at the edges."""

import torch
from torch import Tensor

__all__ = ["cover"]


def cover(pixels: Tensor, rectangles: Tensor) -> Tensor:
    """Paint rectangles over all frames of clips.

    Args:
        pixels: (N, T, H, W, 3) float.
        rectangles: (N, K, ``RECTANGLE_FIELDS``), the first on top; see :mod:`.draw_copy`.

    Returns:
        (N, T, H, W, 3) float; an edge between two pixels of the grid covers a part of the pixel.
    """
    height, width, channels = pixels.shape[2:]
    left, top, right, bottom, opacity = rectangles[..., :5].unbind(2)
    rows, columns = covered(top, bottom, height), covered(left, right, width)
    covering = opacity[..., None, None] * rows[..., None] * columns[:, :, None]  # (N, K, H, W)
    shown = (1 - covering).cumprod(1)
    # How much is seen of each: what those on top of it show, less what it lets through.
    seen = torch.cat([torch.ones_like(shown[:, :1]), shown[:, :-1]], 1) - shown
    painted = torch.einsum("nkhw,nkc->nhwc", seen, rectangles[..., 5:])
    through = shown[:, -1, ..., None].expand(-1, -1, -1, channels).contiguous()
    return torch.addcmul(painted[:, None], pixels, through[:, None])


def covered(start: Tensor, end: Tensor, pixels: int) -> Tensor:
    """(..., P) the covered part of each pixel of an axis.

    Args:
        start: (...) fraction of the axis.
        end: (...) fraction of the axis.
        pixels: length of the axis, P.
    """
    pixel = torch.arange(pixels, device=start.device)
    first, last = (start * pixels)[..., None], (end * pixels)[..., None]
    return (torch.minimum(last, pixel + 1) - torch.maximum(first, pixel)).clamp(0, 1)
