"""Tubelets: patches that move through slices on drawn paths.

After Thoker et al., Tubelet-Contrastive Self-Supervision for Video-Efficient Generalization, ICCV 2023. All
slices of a sample get the same tubelets, so that positives share their motion. The paper cuts a patch out of
another video. Here each slice's patch is cut out of its own frames, at the same place in all slices of the
sample, so that a slice depends on itself alone, however a batch is shared between processes.

A patch is an ellipse. In each row of a frame it covers one run of pixels, whose sources lie on a line. So
only the pixels that are pasted cost anything.
"""

from typing import NamedTuple

import torch
from torch import Tensor

__all__ = ["paste_tubelets"]


def paste_tubelets(frames: Tensor, tubelets: Tensor) -> Tensor:
    """Paste moving patches into slices, on the device that holds them.

    Args:
        frames: (N, T, H, W, 3) uint8; they are not changed.
        tubelets: (N, K, ``TUBELET_FIELDS``) float32 from :func:`.draw_tubelet.draw_tubelets`.

    Returns:
        (N, T, H, W, 3) uint8.
    """
    pasted = frames.clone()
    for tubelet in tubelets.unbind(1):
        present = (tubelet[:, 3] > 0).nonzero().flatten()
        if len(present):
            targets, sources = moved_pixels(Tubelet.of(tubelet[present]), present, frames.shape)
            pasted.view(-1, 3).index_copy_(0, targets, frames.view(-1, 3).index_select(0, sources))
    return pasted


class Tubelet(NamedTuple):
    """One tubelet of each of n slices, see :data:`.draw_tubelet.TUBELET_FIELDS`."""

    moment: Tensor
    """(n, 1)"""
    centre: Tensor
    """(n, 2) x and y"""
    size: Tensor
    """(n, 2) width and height"""
    path: Tensor
    """(n, 8) x, then y, of the control points"""
    growth: Tensor
    """(n, 1)"""
    turns: Tensor
    """(n, 2)"""

    @classmethod
    def of(cls, fields: Tensor) -> "Tubelet":
        """Those that rows of numbers describe.

        Args:
            fields: (n, ``TUBELET_FIELDS``).
        """
        return cls(*torch.split(fields, [1, 2, 2, 8, 1, 2], dim=1))


class Runs(NamedTuple):
    """Runs of neighbouring pixels, one in each of P rows of the T frames of n slices: (n, T, P) arrays."""

    y: Tensor
    """The row, in [0, H)."""
    x: Tensor
    """The first pixel, in [0, W]."""
    length: Tensor
    """0: the row has no such pixel."""
    source_x: Tensor
    """Where the first pixel is cut out, float, in pixels."""
    source_y: Tensor
    step_x: Tensor
    """How far the source of each further pixel lies from the last."""
    step_y: Tensor


def moved_pixels(tubelet: Tubelet, slices: Tensor, shape: torch.Size) -> tuple[Tensor, Tensor]:
    """Which pixels are pasted where.

    Args:
        tubelet: one of each of n slices.
        slices: (n,) numbers of the slices, in [0, N).
        shape: (N, T, H, W, 3) of the frames.

    Returns:
        (M,) numbers of pixels that are pasted over, none twice, and (M,) of those that are pasted there, all
        in [0, N * T * H * W).
    """
    _, time, height, width, _ = shape
    runs = covered_runs(tubelet, time, height, width)
    frame = slices[:, None] * time + torch.arange(time, device=slices.device)
    source_frame = slices[:, None] * time + (tubelet.moment * time).long().clamp(max=time - 1)
    first_target = (frame[..., None] * height + runs.y) * width + runs.x
    first_source = (source_frame * height * width)[..., None].expand_as(first_target)

    length = runs.length.flatten()
    run = torch.repeat_interleave(length)
    along = torch.arange(len(run), device=run.device) - (length.cumsum(0) - length).index_select(0, run)

    def of_run(values: Tensor) -> Tensor:
        return values.flatten().index_select(0, run)

    x = (of_run(runs.source_x) + of_run(runs.step_x) * along).long().clamp(0, width - 1)
    y = (of_run(runs.source_y) + of_run(runs.step_y) * along).long().clamp(0, height - 1)
    return of_run(first_target) + along, of_run(first_source) + y * width + x


def covered_runs(tubelet: Tubelet, time: int, height: int, width: int) -> Runs:
    """The pixels that moving ellipses cover, row by row.

    Args:
        tubelet: one of each of n slices.
        time: frames of a slice, T.
        height: of a frame in pixels.
        width: of a frame in pixels.
    """
    sides = tubelet.size.new_tensor([width, height])
    passed = torch.linspace(0, 1, time, device=sides.device)
    path_x, path_y = (tubelet.path.view(-1, 2, 4) @ bezier(passed) * sides[:, None])[..., None].unbind(1)
    zoom = 1 + (tubelet.growth - 1) * passed
    turn = tubelet.turns[:, :1] + tubelet.turns.diff(dim=1) * passed
    cos, sin = (turn.cos() / zoom)[..., None], (turn.sin() / zoom)[..., None]  # (n, T, 1)
    half = tubelet.size * sides / 2
    reach = int((half.amax(1, keepdim=True) * tubelet.growth.clamp(min=1)).amax().ceil()) + 1

    count = min(2 * reach, height)
    top = (path_y.long() - reach).clamp(0, height - count)
    y = top + torch.arange(count, device=sides.device)  # (n, T, P)
    down = y + 0.5 - path_y
    # What is pasted at (x, down) from the centre is cut out at (cos x + sin down, cos down - sin x) from the
    # centre there. It is in the ellipse where (each / half)^2 sum to less than 1: a quadratic inequality.
    a, b = half[:, 0, None, None], half[:, 1, None, None]
    squared = (cos / a).square() + (sin / b).square()
    linear = cos * sin * down * (1 / a.square() - 1 / b.square())
    rest = down.square() * ((sin / a).square() + (cos / b).square()) - 1
    root = (linear.square() - squared * rest).clamp(min=0).sqrt()
    left, right = (
        (path_x - 0.5 + (sign * root - linear) / squared).ceil().clamp(0, width) for sign in (-1, 1)
    )
    across = left + 0.5 - path_x
    middle_x, middle_y = (tubelet.centre * sides)[..., None, None].unbind(1)
    return Runs(
        y=y,
        x=left.long(),
        length=(right - left).long(),
        source_x=middle_x + cos * across + sin * down,
        source_y=middle_y + cos * down - sin * across,
        step_x=cos.expand_as(down),
        step_y=-sin.expand_as(down),
    )


def bezier(passed: Tensor) -> Tensor:
    """(4, T) weights of the control points of a cubic Bézier curve.

    Args:
        passed: (T,) the part of the curve that is passed, from 0 to 1.
    """
    left = 1 - passed
    return torch.stack([left**3, 3 * left**2 * passed, 3 * left * passed**2, passed**3])
