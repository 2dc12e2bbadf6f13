"""The input of a training step."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sora_video.pretrain.video.quarantine import Failure
from sora_video.pretrain.video.slices import Slices
from sora_video.pretrain.views.draw import Views
from sora_video.pretrain.views.draw_altered import Altered
from sora_video.pretrain.views.draw_local import Local
from sora_video.pretrain.views.tubelets import paste_tubelets

__all__ = ["Batch", "Sample"]


@dataclass(frozen=True)
class Sample:
    """Slices of one video, and the views to make of them: as many of each slice, R in all."""

    slot: int
    """Its position in this process's part of the batch."""
    video: int
    """Its number in the corpus."""
    slices: Slices[NDArray[Any]]
    views: Views[NDArray[Any]]
    altered: Altered[NDArray[Any]] | None = None
    """Copies of slices in another order, where the run has any."""
    local: Local[NDArray[Any]] | None = None
    """Local views, where the run has any."""
    tubelets: NDArray[np.float32] | None = None
    """(TUBELETS, TUBELET_FIELDS) patches that move through the slices, where the run has any."""


@dataclass(frozen=True)
class Batch:
    """One training step's input to one process.

    The first axes of views are (B, R), those of slices (B, R / n), with n views of each slice, which are
    neighbours.
    """

    slices: Slices[Tensor]
    views: Views[Tensor]
    video: Tensor
    """(B,) int64, the same number for slices of the same file"""
    slot: Tensor
    """(B,) int64, rising positions in this process's part of the batch; unreadable videos leave gaps"""
    entry: Tensor
    """(B,) int64, numbers in the corpus, which several spans of one file do not share"""
    failures: tuple[Failure, ...] = ()
    """Videos of this step that could not be read; they are left out, not replaced."""
    reader_mb: float = 0.0
    """Peak memory in MB of the process that read it."""
    altered: Altered[Tensor] | None = None
    """Copies of slices in another order, where the run has any; the first axis is B."""
    local: Local[Tensor] | None = None
    """Local views, where the run has any; the first axis is B."""
    tubelets: Tensor | None = None
    """(B, TUBELETS, TUBELET_FIELDS) patches that move through each sample's slices, where the run has any."""

    @property
    def views_of_slice(self) -> int:
        """Views that are made of each slice, n."""
        return self.views.time.shape[1] // self.slices.lengths.shape[1]

    def by_view(self, column: Tensor) -> Tensor:
        """What is known of slices, repeated for each of their views.

        Args:
            column: (b, R / n, ...) of the slices of some samples.

        Returns:
            (b, R, ...)
        """
        views = self.views_of_slice
        return column if views == 1 else column.repeat_interleave(views, dim=1)

    def with_tubelets(self) -> "Batch":
        """The same batch with its patches pasted into its slices; they rest when a video is over."""
        if self.tubelets is None:
            return self
        frames = self.slices.frames
        tubelets = self.tubelets.repeat_interleave(frames.shape[1], dim=0)
        pasted = paste_tubelets(frames.flatten(0, 1), tubelets)
        hold_last(pasted, self.slices.lengths.flatten())
        slices = self.slices._replace(frames=pasted.view_as(frames))
        return replace(self, slices=slices, tubelets=None)

    def of(self, rows: Tensor) -> "Batch":
        """Some of the samples; this batch itself, and no copy, where they are all of them.

        Args:
            rows: (n,) rising numbers of samples, in [0, B).
        """
        return self if len(rows) == len(self.slot) else self.map(lambda column: column[rows])

    def pin_memory(self) -> "Batch":
        """The same batch in page-locked memory, for copies that overlap with compute."""
        return self.map(Tensor.pin_memory)

    def map(self, change: Callable[[Tensor], Tensor]) -> "Batch":
        """The same batch with every tensor changed.

        Args:
            change: called once for each tensor.
        """
        return replace(self, **{name: changed(getattr(self, name), change) for name in TENSORS})


def hold_last(frames: Tensor, lengths: Tensor) -> None:
    """Repeat the last real frame of each slice in the frames after it.

    Args:
        frames: (N, T, ...); changed in place.
        lengths: (N,) how many of them are real.
    """
    moments = torch.arange(frames.shape[1], device=lengths.device)
    short = (lengths < len(moments)).nonzero().flatten()
    if len(short):
        shown = moments.minimum(lengths[short, None] - 1)
        frames[short] = frames[short[:, None], shown]


TENSORS = ("slices", "views", "video", "slot", "entry", "altered", "local", "tubelets")
"""The fields of a batch that are, or consist of, tensors."""


def changed(part: Any, change: Callable[[Tensor], Tensor]) -> Any:
    """A tensor, changed; or a named tuple of such parts, each of them changed; or None."""
    if part is None or isinstance(part, Tensor):
        return None if part is None else change(part)
    return type(part)(*(changed(inner, change) for inner in part))
