"""What losses need to know of a batch."""

from typing import NamedTuple

from torch import Tensor

__all__ = ["Known"]


class Known(NamedTuple):
    """What losses need to know of a batch's readable videos."""

    video: Tensor
    """(V,) int64, equal for slices of the same file"""
    has_audio: Tensor
    """(V, R) bool, whether there is sound"""
    lengths: Tensor
    """(V, R) int64, how many frames are there"""
    time: Tensor
    """(V, R, ``TIME_FIELDS``) how they are played"""
    differs: Tensor | None = None
    """(V, E) bool, which altered copies of slices differ from these; None: the run has none"""
    altered: Tensor | None = None
    """(V, E, A, D) projections of the altered copies, unless the method projects keys itself"""
    local: Tensor | None = None
    """(V, L, A, D) projections of local views; None: the run has none"""
