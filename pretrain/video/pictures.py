"""Single pictures of a video, read by a supervised reader."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .decode import open_video
from .inspect import VideoInfo
from .known import KNOWN
from .picture import MOST_SIDE
from .readers.readers import Request, read_once
from .slices import frames_at

__all__ = ["pictures_at", "screen_size"]


def pictures_at(
    path: Path, short: int, moments: NDArray[np.float64], indexes: Path | None = None
) -> NDArray[np.uint8]:
    """Pictures of a video at given moments, as a player shows them: upright, with square pixels.

    Args:
        path: the file.
        short: most pixels of the short side.
        moments: (n,) seconds from the video's start.
        indexes: folder to keep the video's index in; None: nowhere.

    Returns:
        (n, height, width, 3) RGB.

    Raises:
        VideoError: the file cannot be read.
    """
    pixels: NDArray[np.uint8] = read_once(
        Request(0, read_pictures, (path.absolute(), short, np.asarray(moments), indexes), path)
    )
    return pixels


def read_pictures(task: tuple[Path, int, NDArray[np.float64], Path | None]) -> Iterator[NDArray[np.uint8]]:
    """What a reader does for :func:`pictures_at`."""
    path, short, moments, indexes = task
    KNOWN.keep_in(indexes)
    with closing(open_video(path, screen_size(KNOWN.inspect(path), short))) as frames:
        yield frames.frames(frames_at(frames.times, moments))


def screen_size(info: VideoInfo, short: int) -> tuple[int, int]:
    """Size of a video's picture as a player shows it: upright, with square pixels.

    Args:
        info: its properties.
        short: most pixels of the short side; a smaller video is not enlarged.

    Returns:
        Even height and width in pixels.
    """
    shown = info.shown_size
    scale = min(1.0, short / min(shown), MOST_SIDE / max(shown))
    height, width = (max(2, 2 * round(side * scale / 2)) for side in shown)
    return height, width
