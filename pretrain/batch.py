"""What the loader hands to the training step."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .quarantine import Failure

__all__ = ["Batch", "Sample"]


@dataclass(frozen=True)
class Sample:
    """Slices of one video with the views to make of them."""

    slot: int
    """Its place in this process's part of the batch."""
    video: int
    """Its place in the corpus."""
    frames: NDArray[np.uint8]
    """(R, T, H, W, 3)"""
    views: NDArray[np.float32]
    """(R, VIEW_FIELDS)"""


@dataclass(frozen=True)
class Batch:
    """One training step's input to one process."""

    frames: Tensor
    """(B, R, T, H, W, 3) uint8"""
    views: Tensor
    """(B, R, VIEW_FIELDS) float32"""
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

    def to(self, device: torch.device) -> "Batch":
        """The same batch on a device; does not wait for the copy of a pinned one."""
        return self.map(lambda tensor: tensor.to(device, non_blocking=True))

    def map(self, change: Callable[[Tensor], Tensor]) -> "Batch":
        """The same batch with every tensor changed."""
        frames, views, video, slot = map(change, (self.frames, self.views, self.video, self.slot))
        return Batch(frames, views, video, slot, self.failures, self.reader_mb)
