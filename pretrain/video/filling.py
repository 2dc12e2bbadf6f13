"""Slices of a stream, filled as its pictures are shown.

Several ways to read the same slices, see :func:`.reader.all_slices`, are filled side by side. Where another
way sees longer spans than the first, the pictures of the last such span are kept: of slices at the end of the
stream it reads the span that ends there, as of a file.
"""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache, partial
from math import inf

import numpy as np
from numpy.typing import NDArray

from .reader import Chunk, Grid, cells_before, moved
from .slices import EPSILON_S, Slices, cell_times, frames_at

__all__ = ["Filling", "StreamSlice"]

Pixels = NDArray[np.uint8]
ToPixels = Callable[[int], Pixels]
"""From the number of a grid to the picture on screen, (H, W, 3), as that grid reads it."""


@dataclass
class Cells:
    """The cells of a slice by one way of reading, as far as they are filled."""

    grid: Grid
    start_s: float
    has_own_length: bool
    """Whether they span another length than the slice; then they are moved back from the stream's end."""
    frames: list[Pixels] = field(default_factory=list)
    """(H, W, 3) each."""
    length: int | None = None
    """How many of the frames are real; None: all."""

    @property
    def is_full(self) -> bool:
        """Whether all are filled."""
        return len(self.frames) == self.grid.frames

    def take(self, until_s: float, picture: Callable[[], Pixels]) -> None:
        """Show a picture in the cells that are left and have their middle before ``until_s``."""
        while not self.is_full:
            middle_s = self.start_s + (len(self.frames) + 0.5) / self.grid.fps
            if middle_s + EPSILON_S >= until_s:
                break
            self.frames.append(picture())

    def is_past(self, until_s: float) -> bool:
        """Whether nothing that the stream shows after ``until_s`` changes them."""
        end_s = self.start_s + self.grid.length_s
        return self.is_full and (not self.has_own_length or end_s <= until_s + EPSILON_S)

    def hold(self, picture: Pixels) -> None:
        """Show the stream's last picture in the cells that are left."""
        if not self.is_full:
            self.length = max(1, len(self.frames))
            self.frames += [picture] * (self.grid.frames - len(self.frames))

    def slices(self) -> Slices[NDArray[np.generic]]:
        """The one slice as an encoder takes it, once it is full."""
        length = len(self.frames) if self.length is None else self.length
        silence = np.zeros((1, 0), np.int16), np.zeros(1, np.bool_)
        return Slices(np.stack(self.frames)[None], np.array([length]), *silence)


@dataclass
class StreamSlice:
    """A slice that is full, or being filled."""

    start_s: float
    end_s: float
    cells: tuple[Cells, ...]
    """By each way of reading."""
    damaged: int = 0
    """Packets of the stream so far that could not be decoded and were passed over."""
    shape: tuple[float, float] = (1.0, 1.0)
    """Height and width of the stream's pictures as they are shown."""

    @property
    def frames(self) -> list[Pixels]:
        """(H, W, 3) each, by the first way of reading."""
        return self.cells[0].frames

    def chunk(self) -> Chunk:
        """The slice as :func:`.read.read_videos` gives it."""
        first, *others = self.cells
        return Chunk(
            np.array([self.start_s]),
            np.array([self.end_s]),
            first.slices(),
            last=False,
            joined=tuple(cells.slices() for cells in others),
            joined_start_s=tuple(np.array([cells.start_s]) for cells in others),
        )


class Recent:
    """The pictures on screen in the last seconds of a stream, as many as a slice spans.

    Args:
        grid: how they are read.
    """

    def __init__(self, grid: Grid) -> None:
        self.grid = grid
        self.shown: deque[tuple[float, Pixels]] = deque()
        """Pictures, and since when each is shown."""

    def add(self, time_s: float, until_s: float, pixels: Pixels) -> None:
        """Add a picture that is shown from ``time_s`` to ``until_s``."""
        self.shown.append((time_s, pixels))
        while len(self.shown) > 1 and self.shown[1][0] <= until_s - self.grid.length_s:
            self.shown.popleft()

    def last_cells(self, end_s: float) -> Cells:
        """The cells of the span that ends with the stream."""
        start_s = max(0.0, end_s - self.grid.length_s)
        cells, lengths = cells_before(cell_times(np.array([start_s]), self.grid.frames, self.grid.fps), end_s)
        numbers = frames_at(np.array([time_s for time_s, _ in self.shown]), cells[0])
        frames = [self.shown[number][1] for number in numbers]
        return Cells(self.grid, start_s, has_own_length=True, frames=frames, length=int(lengths[0]))


class Filling:
    """The slices of a stream that have begun and are not full.

    Args:
        grids: ways to read slices; the first says where they are.
        hop_s: seconds between the starts of neighbours.
    """

    def __init__(self, grids: Sequence[Grid], hop_s: float) -> None:
        self.grids, self.hop_s = grids, hop_s
        self.begun: deque[StreamSlice] = deque()
        self.recent = [Recent(grid) for grid in grids]
        self.count = self.given = 0
        """Slices that have begun, and those that were given."""

    def show(self, time_s: float, until_s: float, to_pixels: ToPixels) -> Iterator[StreamSlice]:
        """Show a picture; yields the slices that it fills.

        Args:
            time_s: second since which it is on screen.
            until_s: second until which it is.
            to_pixels: the picture.
        """
        picture = cache(to_pixels)
        while not self.count or self.first_cell_s(self.count) + EPSILON_S < until_s:
            self.begun.append(self.begin(self.count))
            self.count += 1
        for slice_ in self.begun:
            for number, cells in enumerate(slice_.cells):
                cells.take(until_s, partial(picture, number))
        for number, recent in enumerate(self.recent):
            if self.may_move(number):
                recent.add(time_s, until_s, picture(number))
        while self.begun and all(cells.is_past(until_s) for cells in self.begun[0].cells):
            self.given += 1
            yield self.begun.popleft()

    def end(self, end_s: float, to_pixels: ToPixels) -> Iterator[StreamSlice]:
        """End the stream; yields the slices that are full, or the only one where it is shorter.

        Args:
            end_s: second at which it ends.
            to_pixels: the last picture.
        """
        for slice_ in self.begun:
            if slice_.cells[0].is_full or (not self.given and slice_.start_s == 0):
                if not slice_.cells[0].is_full:
                    slice_.end_s = max(end_s, EPSILON_S)
                slice_.cells = tuple(
                    self.ended(number, cells, end_s, to_pixels) for number, cells in enumerate(slice_.cells)
                )
                self.given += 1
                yield slice_

    def ended(self, number: int, cells: Cells, end_s: float, to_pixels: ToPixels) -> Cells:
        """Cells of a slice, moved back from the end of the stream where they reach beyond, and filled."""
        if self.may_move(number) and not cells.is_past(end_s):
            return self.recent[number].last_cells(end_s)
        cells.hold(to_pixels(number))
        return cells

    def may_move(self, number: int) -> bool:
        """Whether cells of a grid may be moved back: longer ones, or of a stream shorter than a slice."""
        length_s, first_s = self.grids[number].length_s, self.grids[0].length_s
        return length_s > first_s or (length_s < first_s and not self.given)

    def begin(self, number: int) -> StreamSlice:
        """A slice of which no cell is filled."""
        first, start_s = self.grids[0], number * self.hop_s
        cells = tuple(
            Cells(grid, start, grid.length_s != first.length_s)
            for grid, start in zip(self.grids, self.starts(number), strict=True)
        )
        return StreamSlice(start_s, start_s + first.length_s, cells)

    def starts(self, number: int) -> list[float]:
        """The start of a slice by each way of reading, in a stream without an end."""
        start_s, first = np.array([number * self.hop_s]), self.grids[0]
        return [float(moved(start_s, first.length_s, grid.length_s, 0.0, inf)[0]) for grid in self.grids]

    def first_cell_s(self, number: int) -> float:
        """The middle of the first cell of a slice."""
        return min(
            start_s + 0.5 / grid.fps for start_s, grid in zip(self.starts(number), self.grids, strict=True)
        )
