"""What a reader does for training: the slices of one sample, and which views to make of them."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from sora_video.configs.schema import AugmentConfig
from sora_video.pretrain.video.cache import FrameCache
from sora_video.pretrain.video.reader import Draw, Grid, Span, drawn_slices
from sora_video.pretrain.video.slices import Slices
from sora_video.pretrain.views.draw import Views, draw_views

__all__ = ["SampleTask", "read_sample"]


@dataclass(frozen=True)
class SampleTask:
    """All that a sample is a function of."""

    span: Span
    grid: Grid
    draw: Draw
    cache: FrameCache
    key: tuple[int | str, ...]
    """Of the views' randomness."""
    augment: AugmentConfig


def read_sample(task: SampleTask) -> Iterator[tuple[Slices[NDArray[Any]], Views[NDArray[Any]]]]:
    """Read the one sample of a task.

    Args:
        task: which slices to draw from which video, and how to augment them.

    Yields:
        R slices and R views.

    Raises:
        VideoError: the file cannot be read.
    """
    for slices in drawn_slices((task.span, task.grid, task.draw, task.cache)):
        yield slices, draw_views(task.key, task.augment, task.draw.count, has_audio=task.grid.has_audio)
