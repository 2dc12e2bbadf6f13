"""A contact sheet: pictures of a video at given moments."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from sora_video.base.figures import STYLE
from sora_video.base.files import atomic_path
from sora_video.base.times import clock
from sora_video.pretrain.video.pictures import pictures_at

__all__ = ["draw_contact_sheet"]

COLUMNS, PICTURE = 4, 180
"""Pictures in a row, and pixels of the short side of each."""


def draw_contact_sheet(video: Path, moments: Sequence[float], path: Path) -> None:
    """Write frames of a video with their times as PNG.

    Args:
        video: the file.
        moments: seconds at which the frames are on screen.
        path: the PNG file.

    Raises:
        StorageError: the disk is full.
        VideoError: the video cannot be read.
    """
    pixels = pictures_at(video, PICTURE, np.asarray(moments))
    height, width = pixels.shape[1:3]
    rows = -(-len(moments) // COLUMNS)
    with mpl.rc_context(STYLE), atomic_path(path) as beside:
        size = (COLUMNS * width / 100, rows * (height + 28) / 100)
        figure = Figure(figsize=size, layout="constrained")
        grid = figure.subplots(rows, COLUMNS, squeeze=False).ravel()
        for axes in grid:
            axes.set_axis_off()
        for axes, picture, moment in zip(grid, pixels, moments, strict=False):
            axes.imshow(picture)
            axes.set_title(clock(moment, 2))
        figure.savefig(beside, dpi=100)
