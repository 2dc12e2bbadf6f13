"""Random views of slices: drawn per view on the CPU, applied to whole batches on the model's device.

Crop, resize, flip and blur are linear and separable, and brightness, saturation, hue and greyscale are one
3x3 matrix of colours. So a view of a frame X is

    A_h X (A_w ⊗ M)

with one small matrix per view for rows (A_h) and one for columns and colours together: two batched matrix
products for the whole batch, the same draw for every frame of a view, and pixels that stay channels-last.
Only contrast needs the clip's mean and follows after.
"""

import torch
from torch import Tensor

from .draw_picture import LUMA

__all__ = ["apply_views"]

CENTRE = 128


def apply_views(frames: Tensor, views: Tensor, size: int, dtype: torch.dtype = torch.float32) -> Tensor:
    """Make one view of each slice, on the device that holds the frames.

    Args:
        frames: (N, T, H, W, 3) uint8.
        views: (N, ``VIEW_FIELDS``) float32 from :func:`draw_view`.
        size: side of a view in pixels, S.
        dtype: arithmetic of the two products; pixels are whole numbers in [-128, 127], exact in bfloat16.

    Returns:
        (N, 3, T, S, S) float32 in [0, 1], stored channels-last.
    """
    count, time, height, width, _ = frames.shape
    left, top, box_width, box_height, flip = views[:, :5].unbind(1)
    colour, contrast, sigma = views[:, 5:14].view(-1, 3, 3), views[:, 14], views[:, 15]
    rows = resampling(top, box_height, height, size, sigma)
    columns = resampling(left, box_width, width, size, sigma)
    columns = torch.where(flip[:, None, None] > 0.5, columns.flip(1), columns)
    mix = torch.einsum("nsw,ndc->nwcsd", columns, colour).reshape(count, width * 3, size * 3)

    pixels = frames.view(count, time, height, width * 3).to(dtype).sub_(CENTRE)
    pixels = rows[:, None].to(dtype) @ pixels
    pixels = pixels.view(count, time * size, width * 3) @ mix.to(dtype)
    pixels = pixels.float().view(count, time, size, size, 3)
    # What the matrices make of a grey CENTRE is added back; contrast keeps the clip's mean brightness.
    grey = (CENTRE * colour.sum(2)).view(-1, 1, 1, 1, 3)
    luma = pixels.new_tensor(LUMA)
    mean = ((pixels.mean((1, 2, 3), keepdim=True) + grey) @ luma)[..., None]
    factor = contrast.view(-1, 1, 1, 1, 1)
    pixels.mul_(factor / 255).add_((factor * grey + (1 - factor) * mean) / 255).clamp_(0, 1)
    return pixels.permute(0, 4, 1, 2, 3)


def resampling(start: Tensor, length: Tensor, pixels: int, size: int, sigma: Tensor) -> Tensor:
    """Matrices that crop, resize with antialiasing and blur one axis.

    Args:
        start: (N,) start of the crop as a fraction of the axis.
        length: (N,) length of the crop as a fraction of the axis.
        pixels: length of the axis, P.
        size: length of the result, S.
        sigma: (N,) standard deviation of the blur in result pixels; 0 for none.

    Returns:
        (N, S, P) weights; every row sums to 1.
    """
    step = (length * pixels / size)[:, None, None]
    grid = torch.arange(size, device=start.device)
    centre = (start * pixels)[:, None, None] + (grid[:, None] + 0.5) * step
    source = torch.arange(pixels, device=start.device) + 0.5
    weights = (1 - (source - centre).abs() / step.clamp(min=1)).clamp(min=0)
    weights = weights / weights.sum(2, keepdim=True)
    distance = (grid[:, None] - grid)[None] / sigma.clamp(min=1e-3)[:, None, None]
    blur = torch.exp(-0.5 * distance.square())
    return (blur / blur.sum(2, keepdim=True)) @ weights
