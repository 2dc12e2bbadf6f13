"""What a reader does to one file: decode slices of it.

Readers import this file and little else, so that they start quickly and hold little.
"""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sora_video.base.errors import VideoError
from sora_video.base.randomness import generator

from .cache import FrameCache
from .decode import Frames, open_forward
from .known import KNOWN
from .picture import Picture
from .slices import (
    Playback,
    Slices,
    cell_times,
    cells_shown,
    draw_playback,
    draw_starts,
    frames_at,
    slice_starts,
)
from .sound import Sound, read_sound

__all__ = [
    "Chunk",
    "Draw",
    "Grid",
    "Span",
    "all_slices",
    "cells_before",
    "drawn_slices",
    "moved",
    "read_slices",
]

CHUNK = 32
"""Slices decoded at once, to bound the memory of a long video."""


@dataclass(frozen=True)
class Grid:
    """How a slice is read: its cells in time, its pictures, and whether with sound."""

    frames: int
    fps: float
    picture: Picture
    has_audio: bool

    @property
    def length_s(self) -> float:
        """Seconds that a slice spans."""
        return self.frames / self.fps


@dataclass(frozen=True)
class Span:
    """A file, or a part of it."""

    path: Path
    start_s: float = 0.0
    end_s: float | None = None
    """None: to the video's end."""

    def within(self, duration_s: float) -> tuple[float, float]:
        """Start and end in seconds in a video of that length.

        Raises:
            VideoError: it lies beyond the video's end.
        """
        end_s = min(self.end_s or duration_s, duration_s)
        if self.start_s >= end_s:
            raise VideoError(
                f"start_s={self.start_s:g} is not before its end at {end_s:.3f} s; fix the manifest"
            )
        return self.start_s, end_s


@dataclass(frozen=True)
class Draw:
    """How slices of a video are drawn; see :func:`.slices.draw_starts` and :func:`.slices.draw_playback`."""

    count: int
    max_gap_s: float
    gap_power: float
    rates: tuple[int, ...]
    reverse: float


@dataclass(frozen=True)
class Chunk:
    """Some neighbouring slices of a video."""

    start_s: NDArray[np.float64]
    end_s: NDArray[np.float64]
    slices: Slices[NDArray[Any]]
    """n of them"""
    last: bool
    """Whether the video has no more."""
    joined: tuple[Slices[NDArray[Any]], ...] = ()
    """The same slices as further encoders see them."""
    joined_start_s: tuple[NDArray[np.float64], ...] = ()
    """Where these start, in seconds."""


def all_slices(task: tuple[Span, tuple[Grid, ...], float, Path | None]) -> Iterator[Chunk]:
    """All slices of a span in chunks.

    Args:
        task: the span, how slices are read, the seconds between the starts of neighbours, and a folder
            for indexes of videos. Of several ways to read slices, the first says where they are; the
            others read spans of their own length with the same middles, within the span.

    Raises:
        VideoError: the file cannot be read.
    """
    part, grids, hop_s, indexes = task
    KNOWN.keep_in(indexes)
    with closing(open_forward(part.path, *(grid.picture for grid in grids))) as frames:
        first_s, end_s = part.within(frames.duration_s)
        length_s = grids[0].length_s
        starts = first_s + slice_starts(end_s - first_s, length_s, hop_s)
        ends = np.minimum(starts + length_s, end_s)
        for first in range(0, len(starts), CHUNK):
            rows = slice(first, first + CHUNK)
            plans = [
                Plan.make(
                    grid, moved(starts[rows], length_s, grid.length_s, first_s, end_s), end_s, frames.times
                )
                for grid in grids
            ]
            pixels = frames.several([plan.indices.ravel() for plan in plans])
            slices, *joined = (
                plan.slices(part.path, shown) for plan, shown in zip(plans, pixels, strict=True)
            )
            yield Chunk(
                starts[rows],
                ends[rows],
                slices,
                first + CHUNK >= len(starts),
                tuple(joined),
                tuple(plan.starts for plan in plans[1:]),
            )


def moved(
    starts: NDArray[np.float64], length_s: float, other_s: float, first_s: float, end_s: float
) -> NDArray[np.float64]:
    """Starts of slices of another length with the same middles, within the span if it is long enough.

    Args:
        starts: (n,) starts of slices in seconds.
        length_s: seconds of these slices.
        other_s: seconds of the other ones.
        first_s: start of the span in seconds.
        end_s: end of the span in seconds.

    Returns:
        (n,) starts of the other ones.
    """
    if other_s == length_s:
        return starts
    return np.clip(starts + (length_s - other_s) / 2, first_s, max(first_s, end_s - other_s))


def drawn_slices(
    part: Span, grid: Grid, draw: Draw, key: tuple[int | str, ...], frame_cache: FrameCache
) -> tuple[Slices[NDArray[Any]], Playback]:
    """Read slices of a span that are drawn at random, with room for the fastest of them.

    Args:
        part: the span.
        grid: how slices are read.
        draw: how they are drawn.
        key: of their randomness.
        frame_cache: the cache to read through.

    Returns:
        R slices, and how they are played.

    Raises:
        VideoError: the file cannot be read.
    """
    KNOWN.keep_in(frame_cache.indexes)
    with closing(frame_cache.open(part.path)) as frames:
        start_s, end_s = part.within(frames.duration_s)
        playback = draw_playback(
            (*key, "time"), end_s - start_s, grid.length_s, draw.count, draw.rates, draw.reverse
        )
        starts = draw_starts(
            generator(*key, "starts"),
            end_s - start_s,
            grid.length_s * int(playback.rates.max()),
            draw.count,
            draw.max_gap_s,
            draw.gap_power,
        )
        return read_slices(part.path, frames, start_s + starts, end_s, grid, playback), playback


def read_slices(
    path: Path,
    frames: Frames,
    starts: NDArray[np.float64],
    end_s: float,
    grid: Grid,
    playback: Playback | None = None,
) -> Slices[NDArray[Any]]:
    """Decode slices of one video, each frame once.

    Args:
        path: the file.
        frames: the same, opened.
        starts: (n,) starts in seconds.
        end_s: seconds past which the last frame is held.
        grid: how slices are read.
        playback: of each slice; None: as it is.

    Returns:
        n slices.

    Raises:
        VideoError: a frame cannot be decoded.
    """
    plan = Plan.make(grid, starts, end_s, frames.times, playback)
    return plan.slices(path, frames.frames(plan.indices.ravel()))


def cells_before(cells: NDArray[np.float64], end_s: float) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Hold the last moment of a video in cells past its end.

    Args:
        cells: (n, T) middles of cells in seconds.
        end_s: the video's end in seconds.

    Returns:
        (n, T) moments to show, and (n,) how many of each row lie before the end, at least 1.
    """
    last_s = max(0.0, end_s - 1e-3)
    return np.minimum(cells, last_s), (cells <= last_s).sum(1).clip(min=1)


class Plan(NamedTuple):
    """Which frames the cells of n slices show."""

    grid: Grid
    starts: NDArray[np.float64]
    """(n,) in seconds."""
    indices: NDArray[np.int64]
    """(n, T) frame numbers."""
    lengths: NDArray[np.int64]
    """(n,) cells before the end, at least 1."""

    @classmethod
    def make(
        cls,
        grid: Grid,
        starts: NDArray[np.float64],
        end_s: float,
        times: NDArray[np.float64],
        playback: Playback | None = None,
    ) -> "Plan":
        """Look the cells up; past ``end_s`` the last frame is held."""
        rates = playback.rates if playback else 1
        cells, lengths = cells_before(cell_times(starts, grid.frames, grid.fps, rates), end_s)
        indices = frames_at(times, cells)
        if playback:
            shown = cells_shown(lengths, grid.frames, playback.backwards)
            indices = np.take_along_axis(indices, shown, axis=1)
        return cls(grid, starts, indices, lengths)

    def slices(self, path: Path, pixels: NDArray[np.uint8]) -> Slices[NDArray[Any]]:
        """The slices, of the (n * T, ...) pixels of their cells."""
        shown = pixels.reshape(*self.indices.shape, *pixels.shape[1:])
        return Slices(shown, self.lengths, *listen(path, self.starts, self.grid))


def listen(path: Path, starts: NDArray[np.float64], grid: Grid) -> Sound:
    """The sound of slices; of no length where it is not wanted."""
    if not grid.has_audio:
        return Sound(np.zeros((len(starts), 0), np.int16), np.zeros(len(starts), np.bool_))
    info = KNOWN.inspect(path)
    return read_sound(path, info.origin_s, starts, grid.length_s, info.part_shifts_s)
