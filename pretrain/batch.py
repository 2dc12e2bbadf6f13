"""What the loader hands to the training step."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, NamedTuple, TypeVar

from numpy.typing import NDArray
from torch import Tensor

from .quarantine import Failure

__all__ = ["Batch", "Sample", "Slices", "Views"]

Array = TypeVar("Array")


class Slices(NamedTuple, Generic[Array]):
    """Decoded slices, all arrays with the same first axes (...)."""

    frames: Array
    """(..., T, H, W, 3) uint8"""
    lengths: Array
    """(...) int64, how many frames are there; the others repeat the last of them"""
    sound: Array
    """(..., S) int16 at 16 kHz; S is 0 for networks that do not listen"""
    heard: Array
    """(...) bool, whether there is sound"""


class Views(NamedTuple, Generic[Array]):
    """Which views to make of slices, all arrays with the same first axes (...)."""

    picture: Array
    """(..., VIEW_FIELDS) float32"""
    sound: Array
    """(..., SOUND_FIELDS) float32"""


@dataclass(frozen=True)
class Sample:
    """Slices of one video with the views to make of them; the first axis is R."""

    slot: int
    """Its place in this process's part of the batch."""
    video: int
    """Its place in the corpus."""
    slices: Slices[NDArray[Any]]
    views: Views[NDArray[Any]]


@dataclass(frozen=True)
class Batch:
    """One training step's input to one process; the first axes of slices and views are (B, R)."""

    slices: Slices[Tensor]
    views: Views[Tensor]
    video: Tensor
    """(B,) int64, the same number for slices of the same file"""
    slot: Tensor
    """(B,) int64, rising places in this process's part of the batch; unreadable videos leave gaps"""
    failures: tuple[Failure, ...] = ()
    """Videos of this step that could not be read; they are left out, not replaced."""
    reader_mb: float = 0.0
    """Peak memory in MB of the process that read it."""

    def pin_memory(self) -> "Batch":
        """The same batch in page-locked memory, for copies that overlap with compute."""
        return self.map(Tensor.pin_memory)

    def map(self, change: Callable[[Tensor], Tensor]) -> "Batch":
        """The same batch with every tensor changed."""
        slices, views = Slices(*map(change, self.slices)), Views(*map(change, self.views))
        return Batch(slices, views, change(self.video), change(self.slot), self.failures, self.reader_mb)
