"""Random views of slices: drawn per view on the CPU, applied to whole batches on the model's device.

Crop, resize, flip and blur are linear and separable, and brightness, saturation, hue, greyscale and contrast
are one 3x3 matrix of colours. So a view is two batched matrix products, see :mod:`.products`: the same draw
for every frame of a view. Only what contrast adds needs the clip's mean.
"""

import torch
from torch import Tensor

from .draw_picture import LUMA
from .products import change_pixels

__all__ = ["apply_views"]

CENTRE = 128
FAR = 100
"""Squared distance, in standard deviations, at which a blur's weight is nothing; beyond it computing the
weight would be slow."""


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
    count, time, height, width, channels = frames.shape
    left, top, box_width, box_height, flip = views[:, :5].unbind(1)
    colour, contrast, sigma = views[:, 5:14].view(-1, 3, 3), views[:, 14, None], views[:, 15]
    rows = resampling(top, box_height, height, size, sigma)
    columns = resampling(left, box_width, width, size, sigma)
    columns = torch.where(flip[:, None, None] > 0.5, columns.flip(1), columns)

    pixels = centred(frames).to(dtype)
    # What the matrices make of a grey CENTRE is added back; contrast keeps the clip's mean brightness.
    grey = CENTRE * colour.sum(2)
    mean = mean_colour(pixels, rows, columns, colour) + grey
    brightness = mean @ colour.new_tensor(LUMA)
    added = (contrast * grey + (1 - contrast) * brightness[:, None]) / 255
    pixels = change_pixels(pixels, rows, columns, colour * contrast[..., None] / 255)
    # Added to whole rows of pixels at once, which is faster than to three numbers at a time.
    pixels = pixels.float().flatten(3).add_(added.repeat(1, size)[:, None, None]).clamp_(0, 1)
    return pixels.view(count, time, size, size, channels).permute(0, 4, 1, 2, 3)


def centred(frames: Tensor) -> Tensor:
    """uint8 pixels less ``CENTRE``, as int8."""
    return frames.bitwise_xor(CENTRE).view(torch.int8)


def mean_colour(pixels: Tensor, rows: Tensor, columns: Tensor, colour: Tensor) -> Tensor:
    """(N, 3) mean over all pixels of what :func:`.products.change_pixels` makes of a clip."""
    frame = pixels.mean(1).float()
    return torch.einsum("nhwc,nh,nw,ndc->nd", frame, rows.mean(1), columns.mean(1), colour)


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
    blur = torch.exp(-0.5 * distance.square().clamp(max=FAR))
    return (blur / blur.sum(2, keepdim=True)) @ weights
