"""What a network projects of each sample: its slices, copies of them in another order, and local views."""

from typing import NamedTuple

import torch
from torch import Tensor

from sora_video.pretrain.video.slices import Slices
from sora_video.pretrain.views.draw import Views

from .batch import Batch

__all__ = ["Rows", "differs", "local_rows", "slice_rows"]


class Rows(NamedTuple):
    """What a network projects: slices with the views to make of them; all have the same first axes."""

    slices: Slices[Tensor]
    views: Views[Tensor]

    def flat(self) -> "Rows":
        """The rows (n, M) of n samples along one axis."""
        slices, views = self
        return Rows(
            Slices(*(column.flatten(0, 1) for column in slices)),
            Views(*(column.flatten(0, 1) for column in views)),
        )

    def at(self, numbers: Tensor) -> "Rows":
        """Some of the rows along one axis.

        Args:
            numbers: of those, in the order that is wanted.
        """
        slices, views = self
        return Rows(
            Slices(*(column[numbers] for column in slices)), Views(*(column[numbers] for column in views))
        )


def slice_rows(batch: Batch, *, altered: bool = True) -> Rows:
    """The slices of each sample, as often as they have views, and behind them the copies in another order.

    A copy has the first view of its slice, the same crop and colours, and its sound.

    Args:
        batch: of n samples.
        altered: whether the copies are wanted, where the batch has them.

    Returns:
        (n, R) rows, or (n, R + E).
    """
    slices, views = Slices(*map(batch.by_view, batch.slices)), batch.views
    if not altered or batch.altered is None:
        return Rows(slices, views)
    which, order = batch.altered
    frames = batch.slices.frames[sample_numbers(order), which[..., None], order]
    copied = which * batch.views_of_slice
    others = (torch.cat([column, picked(column, copied)], 1) for column in slices[1:])
    return Rows(
        Slices(torch.cat([slices.frames, frames], 1), *others),
        Views(*(torch.cat([column, picked(column, copied)], 1) for column in views)),
    )


def local_rows(batch: Batch, frames: int) -> Rows:
    """The local views of each sample; they have no sound.

    Args:
        batch: of n samples, with local views.
        frames: of a local view.

    Returns:
        (n, L) rows.
    """
    slices, local = batch.slices, batch.local
    assert local is not None
    times = local.first[..., None] + torch.arange(frames, device=local.first.device)
    real = picked(slices.lengths, local.slice) - local.first
    return Rows(
        Slices(
            slices.frames[sample_numbers(times), local.slice[..., None], times],
            real.clamp(max=frames),
            picked(slices.sound, local.slice)[..., :0],
            torch.zeros_like(real, dtype=torch.bool),
        ),
        local.views,
    )


def differs(batch: Batch) -> Tensor | None:
    """Which altered copies differ from their slices: those of which more than one frame is real.

    Args:
        batch: of n samples.

    Returns:
        (n, E) bool; None where the batch has no copies.
    """
    return None if batch.altered is None else picked(batch.slices.lengths, batch.altered.slice) > 1


def picked(column: Tensor, which: Tensor) -> Tensor:
    """(n, M, ...) of a (n, R, ...) column, by (n, M) numbers of slices."""
    return column[sample_numbers(which), which]


def sample_numbers(numbers: Tensor) -> Tensor:
    """(n, 1, ...) the numbers of n samples, to index together with (n, ...) others."""
    return torch.arange(len(numbers), device=numbers.device).view(-1, *[1] * (numbers.ndim - 1))
