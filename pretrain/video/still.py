"""Slices that show nothing: a picture in which nothing moves, black, and fades to and from them.

A slice's frames are looked at in a grid of cells, which takes noise and compression away. Another frame shows
the same as the clearest one if it is that frame made brighter or darker: frame = gain * clearest + offset, by
least squares. What is left over is motion. So a still picture that fades has none. A frame whose cells are
all alike is black, white or nearly so.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["find_still"]

CELLS = 16
"""Cells of a frame's height, and of its width."""
LEAST_MOTION = 0.3
"""Grey levels of 255, by root mean square over the cells; one cell of 256 that changes by 5 levels has it."""
LEAST_CONTRAST = 4.0
"""Standard deviation of a frame's cells, in grey levels of 255."""
EPSILON = 1e-6


def find_still(frames: NDArray[Any], lengths: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Find the slices in which nothing moves, and those with a frame that is empty.

    Args:
        frames: (n, T, H, W, 3) uint8 frames of n slices.
        lengths: (n,) how many of the T are real; of a single one it is unknown whether anything moves.

    Returns:
        (n,) True where a slice shows nothing.
    """
    cells = grid(frames)
    centred = cells - cells.mean(axis=2, keepdims=True)
    variance = np.square(centred).mean(axis=2)
    is_empty: NDArray[np.bool_] = np.sqrt(variance.min(axis=1)) < LEAST_CONTRAST
    nothing_moves: NDArray[np.bool_] = motion(centred, variance) < LEAST_MOTION
    return is_empty | (nothing_moves & (lengths > 1))


def grid(frames: NDArray[Any]) -> NDArray[np.float32]:
    """(n, T, cells) mean green of each cell; rows and columns of pixels beyond whole cells are left out."""
    count, length, height, width, _ = frames.shape
    rows, columns = min(CELLS, height), min(CELLS, width)
    high, wide = height // rows, width // columns
    green = frames[:, :, : rows * high, : columns * wide, 1]
    blocks = green.reshape(count, length, rows, high, columns, wide)
    cells: NDArray[np.float32] = blocks.mean(axis=(3, 5), dtype=np.float32)
    return cells.reshape(count, length, rows * columns)


def motion(centred: NDArray[np.float32], variance: NDArray[np.float32]) -> NDArray[np.float32]:
    """(n,) how far the most different frame is from the clearest one, whatever the brightness of both."""
    clearest = np.take_along_axis(centred, variance.argmax(axis=1)[:, None, None], axis=1)
    shared = (centred * clearest).mean(axis=2)
    left = variance - np.square(shared) / np.maximum(variance.max(axis=1, keepdims=True), EPSILON)
    greatest: NDArray[np.float32] = np.sqrt(np.maximum(left, 0).max(axis=1))
    return greatest
