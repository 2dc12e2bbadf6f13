"""Compression with the faults of a video of low rate.

JPEG (ITU-T T.81) transforms blocks of 8 x 8 pixels by the discrete cosine transform (DCT), and rounds the
coefficients to multiples of the steps of a table. Here the DCT goes over the frames of a clip too. So what
changes little stays the same from frame to frame, as in a video, and does not flicker as single pictures do.

Quality 5 at full size leaves about as much of the detail and motion of frames of 64 pixels, and adds as much
noise, as H.264 at rate factor 38 and half the size.
"""

import math

import torch
from torch import Tensor

from .products import change_pixels

__all__ = ["compress"]

BLOCK = 8
CENTRE = 128 / 255
LUMA_STEPS = (
    (16, 11, 10, 16, 24, 40, 51, 61),
    (12, 12, 14, 19, 26, 58, 60, 55),
    (14, 13, 16, 24, 40, 57, 69, 56),
    (14, 17, 22, 29, 51, 87, 80, 62),
    (18, 22, 37, 56, 68, 109, 103, 77),
    (24, 35, 55, 64, 81, 104, 113, 92),
    (49, 64, 78, 87, 103, 121, 120, 101),
    (72, 92, 95, 98, 112, 100, 103, 99),
)
CHROMA_STEPS = (
    (17, 18, 24, 47, 99, 99, 99, 99),
    (18, 21, 26, 66, 99, 99, 99, 99),
    (24, 26, 56, 99, 99, 99, 99, 99),
    (47, 66, 99, 99, 99, 99, 99, 99),
    *[(99,) * 8] * 4,
)
"""The tables of the standard's annex K, for values from 0 to 255 at quality 50."""
TO_YCC = ((0.299, 0.587, 0.114), (-0.168736, -0.331264, 0.5), (0.5, -0.418688, -0.081312))
"""The colour space that is compressed: brightness, and two differences of colour (JFIF)."""


def compress(pixels: Tensor, blocks: Tensor, quality: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
    """Scale clips down, compress them, and scale them up again.

    Args:
        pixels: (N, T, S, S, 3) float32 in [0, 1].
        blocks: (N,) blocks along each side of the picture that is compressed, from 1 to S / 8.
        quality: (N,) on JPEG's scale, from 1 to 100.
        dtype: arithmetic of the transforms.

    Returns:
        (N, T, S, S, 3) float32 in [0, 1].
    """
    count, time, size = pixels.shape[:3]
    forward, back = block_transforms(blocks, size)
    to_ycc = pixels.new_tensor(TO_YCC)
    from_ycc = to_ycc.inverse() / 255
    over_time = cosines(time, pixels.device).to(dtype)

    def over_frames(matrix: Tensor, values: Tensor) -> Tensor:
        return (matrix @ values.flatten(2)).view_as(values)

    values = over_frames(over_time, (pixels - CENTRE).to(dtype))
    values = change_pixels(values, forward, forward, (255 * to_ycc).expand(count, 3, 3))
    steps = scaled_steps(quality, forward.shape[1] // BLOCK).to(dtype)
    values = values.div_(steps).round_().mul_(steps)
    values = change_pixels(values, back, back, from_ycc.expand(count, 3, 3))
    return over_frames(over_time.mT, values).float().add_(CENTRE).clamp_(0, 1)


def scaled_steps(quality: Tensor, blocks: int) -> Tensor:
    """Steps of the coefficients, scaled by quality as libjpeg does.

    Args:
        quality: (N,) from 1 to 100.
        blocks: along each side, B.

    Returns:
        (N, 1, 8 B, 8 B, 3).
    """
    percent = torch.where(quality < 50, 5000 / quality, 200 - 2 * quality)
    table = quality.new_tensor([LUMA_STEPS, CHROMA_STEPS, CHROMA_STEPS]).permute(1, 2, 0)
    steps = (table * percent[:, None, None, None] / 100 + 0.5).floor().clamp(1, 255)
    return steps.repeat(1, blocks, blocks, 1)[:, None]


def block_transforms(blocks: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """Matrices that scale an axis down and transform its blocks, and that go back.

    Args:
        blocks: (N,) after scaling, at most B = S // 8.
        size: pixels of the axis, S.

    Returns:
        (N, 8 B, S), the last rows 0 where there are fewer blocks, and (N, S, 8 B).
    """
    most = size // BLOCK * BLOCK
    device, sides = blocks.device, (blocks * BLOCK)[:, None, None]
    coarse, fine = torch.arange(most, device=device)[:, None], torch.arange(size, device=device)
    # Triangles as wide as a coarse pixel: antialiased on the way down, linear interpolation on the way up.
    distance = (fine + 0.5) * sides / size - (coarse + 0.5)
    near = (1 - distance.abs()).clamp(min=0) * (coarse < sides)
    down = near / near.sum(2, keepdim=True).clamp(min=1e-6)
    up = near / near.sum(1, keepdim=True)
    transform = torch.kron(torch.eye(most // BLOCK, device=device), cosines(BLOCK, device))
    return transform @ down, (transform @ up).mT


def cosines(size: int, device: torch.device) -> Tensor:
    """(S, S) orthonormal discrete cosine transform; its transpose is the inverse.

    Args:
        size: of the axis, S.
        device: of the result.
    """
    place = torch.arange(size, device=device)
    matrix = torch.cos(math.pi / size * place[:, None] * (place + 0.5)) * math.sqrt(2 / size)
    matrix[0] = 1 / math.sqrt(size)
    return matrix
