"""Which slices of a sample are played in a wrong order: drawn on the CPU, by NumPy alone."""

from typing import Any, Generic, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sora_video.base.randomness import generator
from sora_video.configs.sections import LossConfig
from sora_video.pretrain.video.slices import Array

__all__ = ["Altered", "draw_altered"]

Numbers = NDArray[np.int64]


class Altered(NamedTuple, Generic[Array]):
    """Copies of slices whose frames are in another order, all arrays with the same first axes (...)."""

    slice: Array
    """(..., E) int64, which of a sample's R slices each is a copy of"""
    order: Array
    """(..., E, T) int64, which frame of the slice is shown when"""


def draw_altered(
    key: tuple[int | str, ...], loss: LossConfig, lengths: NDArray[Any], frames: int
) -> Altered[NDArray[Any]] | None:
    """Draw which slices of a sample are altered, and how.

    Args:
        key: of their randomness.
        loss: ``intra`` says how, ``intra_slices`` how many.
        lengths: (R,) how many frames of each slice are real.
        frames: T of a slice.

    Returns:
        The copies; None where the run has none.
    """
    if loss.intra == "none":
        return None
    count = len(lengths)
    chosen = np.sort(generator(*key, "altered").permutation(count)[: loss.intra_slices])
    orders = [
        draw_order(generator(*key, "altered", int(number)), loss.intra, int(lengths[number]), frames)
        for number in chosen
    ]
    return Altered(chosen.astype(np.int64), np.stack(orders))


def draw_order(rng: np.random.Generator, kind: str, length: int, frames: int) -> Numbers:
    """An order of a slice's frames other than that of time.

    Only real frames change their places; as in every slice, those after them repeat the last that is shown.

    Args:
        rng: the slice's own source of randomness.
        kind: ``"shuffle"``, ``"reverse"``, or ``"either"`` of them with equal chance.
        length: how many frames are real.
        frames: T of the slice.

    Returns:
        (T,) int64; the order of time where a single frame is real.
    """
    order = np.arange(length)
    if kind == "either":
        kind = ("shuffle", "reverse")[rng.integers(2)]
    if kind == "reverse":
        order = order[::-1]
    else:
        while length > 1 and (order == np.arange(length)).all():
            order = rng.permutation(length)
    padded: Numbers = order[np.minimum(np.arange(frames), length - 1)].astype(np.int64)
    return padded
