"""Random views of slices: drawn per view on the CPU, applied to whole batches on the model's device.

Crop, resize, flip and blur are linear and separable, and brightness, saturation, hue and greyscale are one
3x3 matrix of colours. So a view of a frame X is

    A_h X (A_w ⊗ M)

with one small matrix per view for rows (A_h) and one for columns and colours together: two batched matrix
products for the whole batch, the same draw for every frame of a view, and pixels that stay channels-last.
Only contrast needs the clip's mean and follows after.
"""

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sora_video.configs.schema import AugmentConfig

__all__ = ["VIEW_FIELDS", "apply_views", "draw_view"]

VIEW_FIELDS = 16
"""Numbers that describe one view: left, top, width, height (fractions of the frame), flip (0 or 1), the
colour matrix (9), contrast and blur sigma in pixels."""

LUMA = np.array([0.299, 0.587, 0.114])
SAME, GREY = np.eye(3), np.tile(LUMA, (3, 1))
TO_YIQ = np.array([[0.299, 0.587, 0.114], [0.596, -0.274, -0.322], [0.211, -0.523, 0.312]])
FROM_YIQ = np.linalg.inv(TO_YIQ)
ATTEMPTS = 10
CENTRE = 128


def draw_view(rng: np.random.Generator, config: AugmentConfig) -> NDArray[np.float32]:
    """Draw the parameters of one view.

    Args:
        rng: the view's own source of randomness.
        config: ranges and probabilities.

    Returns:
        (``VIEW_FIELDS``,) float32, see there.
    """
    return np.concatenate(
        [
            draw_box(rng, config),
            [rng.random() < config.flip],
            draw_colour(rng, config),
            [draw_sigma(rng, config)],
        ]
    ).astype(np.float32)


def draw_box(rng: np.random.Generator, config: AugmentConfig) -> list[float]:
    """A crop by area and aspect, as (left, top, width, height) in fractions (Szegedy et al. 2015)."""
    low, high = config.crop_aspect
    for _ in range(ATTEMPTS):
        area = rng.uniform(*config.crop_area)
        aspect = math.exp(rng.uniform(math.log(low), math.log(high)))
        width, height = math.sqrt(area * aspect), math.sqrt(area / aspect)
        if width <= 1 and height <= 1:
            return [rng.uniform(0, 1 - width), rng.uniform(0, 1 - height), width, height]
    side = math.sqrt(config.crop_area[1])
    return [(1 - side) / 2, (1 - side) / 2, side, side]


def draw_colour(rng: np.random.Generator, config: AugmentConfig) -> list[float]:
    """The colour matrix, row by row, and the contrast factor."""
    matrix, contrast = SAME, 1.0
    if rng.random() < config.jitter:
        brightness, contrast, saturation = (
            rng.uniform(max(0.0, 1 - change), 1 + change)
            for change in (config.brightness, config.contrast, config.saturation)
        )
        matrix = brightness * saturate(saturation) @ turn_hue(rng.uniform(-config.hue, config.hue))
    if rng.random() < config.grey:
        matrix = saturate(0.0) @ matrix
    return [*matrix.ravel(), contrast]


def saturate(factor: float) -> NDArray[np.float64]:
    """The colour matrix that blends with grey; 1 changes nothing, 0 leaves grey."""
    return factor * SAME + (1 - factor) * GREY


def turn_hue(turns: float) -> NDArray[np.float64]:
    """The colour matrix that rotates hue in the YIQ plane, keeping brightness."""
    cos, sin = math.cos(2 * math.pi * turns), math.sin(2 * math.pi * turns)
    rotation = np.array([[1, 0, 0], [0, cos, -sin], [0, sin, cos]])
    return np.asarray(FROM_YIQ @ rotation @ TO_YIQ)


def draw_sigma(rng: np.random.Generator, config: AugmentConfig) -> float:
    """The blur's standard deviation in pixels; 0 for none."""
    return rng.uniform(*config.blur_sigma) if rng.random() < config.blur else 0.0


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
