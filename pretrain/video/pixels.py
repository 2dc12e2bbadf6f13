"""Decoded pictures as a player shows them: upright, unmirrored, as RGB."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import av
import numpy as np
from av.sidedata.sidedata import Type
from av.video.reformatter import VideoReformatter
from numpy.typing import NDArray

__all__ = ["UPRIGHT", "Orientation", "orientation", "pixel_aspect", "shown_size", "square_pixels", "to_rgb"]

Pixels = NDArray[np.uint8]


class Orientation(NamedTuple):
    """How a stored picture is turned to be shown: first transposed, then mirrored."""

    transposed: bool
    """Rows become columns."""
    upside_down: bool
    """The order of the rows is reversed."""
    left_right: bool
    """The order of the columns is reversed."""


UPRIGHT = Orientation(transposed=False, upside_down=False, left_right=False)


def orientation(frame: av.VideoFrame) -> Orientation:
    """The orientation that a frame's display matrix asks for, to the nearest quarter turn; mirrors count.

    A point (x, y) of the stored picture is shown at (a x + c y, b x + d y).

    Args:
        frame: a decoded frame.
    """
    side_data: Mapping[Any, Any] = frame.side_data  # whose own type hints are of something else
    matrix = side_data.get(Type.DISPLAYMATRIX)
    if matrix is None:
        return UPRIGHT
    a, b, _, c, d = np.frombuffer(bytes(matrix), np.int32)[:5].tolist()
    if abs(a) + abs(d) >= abs(b) + abs(c):
        return Orientation(transposed=False, upside_down=d < 0, left_right=a < 0)
    return Orientation(transposed=True, upside_down=b < 0, left_right=c < 0)


def shown_size(frame: av.VideoFrame) -> tuple[int, int]:
    """Size of a frame as it is shown, before pixels that are not square are stretched.

    Args:
        frame: a decoded frame.

    Returns:
        Height and width in pixels.
    """
    return (frame.width, frame.height) if orientation(frame).transposed else (frame.height, frame.width)


def square_pixels(height: int, width: int, turn: Orientation, aspect: float) -> tuple[float, float]:
    """Size of a picture as it is shown, in square pixels.

    Args:
        height: rows, as stored.
        width: pixels a row, as stored.
        turn: how it is turned to be shown.
        aspect: width of a stored pixel over its height.

    Returns:
        Height and width.
    """
    return (width * aspect, float(height)) if turn.transposed else (float(height), width * aspect)


def pixel_aspect(stream: av.VideoStream) -> float:
    """Width of a stored pixel over its height; 1 where the file does not say.

    Args:
        stream: the pictures.
    """
    return float(stream.sample_aspect_ratio or 1)


def to_rgb(
    frame: av.VideoFrame,
    size: tuple[int, int],
    scaler: VideoReformatter | None = None,
    interpolation: str = "bicubic",
) -> Pixels:
    """A decoded frame as it is shown, stretched to fill a size.

    Args:
        frame: as stored.
        size: (height, width) in pixels.
        scaler: keeps its tables from frame to frame, for a caller with many; not to be shared by threads.
        interpolation: bicubic or bilinear.

    Returns:
        (height, width, 3) RGB.
    """
    turn = orientation(frame)
    height, width = size[::-1] if turn.transposed else size
    # By default each call starts a thread a processor to scale in, which takes longer than the scaling.
    scaled = (scaler or VideoReformatter()).reformat(
        frame, format="rgb24", width=width, height=height, interpolation=interpolation.upper(), threads=1
    )
    pixels: Pixels = np.asarray(scaled.to_ndarray(), np.uint8)
    if turn.transposed:
        pixels = pixels.transpose(1, 0, 2)
    return pixels[:: -1 if turn.upside_down else 1, :: -1 if turn.left_right else 1]
