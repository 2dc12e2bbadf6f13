"""Arithmetic of temporal slices on times and indices, independent of decoders.

A slice of T frames at f frames a second that starts at s spans [s, s + T/f). Each of its T cells is shown by
the frame that a player would show at the cell's middle (x), whatever the frames' own rate:

    video frames   f---f---f---f---f---f---f---f---f---f     presentation times, any spacing
    slice cells        [--x--|--x--|--x--|--x--)             T = 4 cells of 1/f seconds
                       s                       s + T/f

Past the last frame the last frame stays on screen, so a video shorter than a slice gives one slice that
holds its last frame; its end is the video's end.
"""

from collections.abc import Sequence
from typing import Generic, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from sora_video.base.randomness import generator

__all__ = [
    "Playback",
    "Slices",
    "cell_times",
    "cells_shown",
    "draw_playback",
    "draw_starts",
    "frames_at",
    "slice_starts",
    "thin",
]

Times = NDArray[np.float64]
EPSILON_S = 1e-6


def slice_starts(duration_s: float, length_s: float, hop_s: float) -> Times:
    """Starts of the slices that cover a video.

    Starts lie ``hop_s`` apart; where the last of them leaves a rest uncovered, one more slice ends at the
    video's end. A video not longer than a slice gives the single start 0.

    Args:
        duration_s: seconds of video.
        length_s: seconds of a slice.
        hop_s: seconds between neighbouring starts.

    Returns:
        Rising starts in seconds; at least one.
    """
    last = duration_s - length_s
    if last <= EPSILON_S:
        return np.zeros(1)
    starts: Times = np.arange(int((last + EPSILON_S) / hop_s) + 1, dtype=np.float64) * hop_s
    rest = last - starts[-1]
    return np.concatenate([starts, [last]]) if rest > EPSILON_S else starts


def draw_starts(
    rng: np.random.Generator,
    duration_s: float,
    length_s: float,
    count: int,
    max_gap_s: float,
    gap_power: float = 0.0,
) -> Times:
    """Draw the starts of ``count`` slices of one video.

    The first is uniform over the video. The gap of each other one to the first has a density proportional to
    (1 - gap / M)^gap_power on [0, M], with M the lesser of ``max_gap_s`` and the longest gap that the video
    has room for; gaps that would leave the video are not drawn. Power 0 is uniform; decreasing densities are
    those of CVRL (Qian et al., Spatiotemporal Contrastive Video Representation Learning, 2021).

    Args:
        rng: the source of randomness.
        duration_s: seconds of video.
        length_s: seconds of a slice.
        count: how many to draw.
        max_gap_s: most seconds between the first start and any other.
        gap_power: 0 or more, see above.

    Returns:
        ``count`` starts in seconds, in [0, max(0, duration_s - length_s)].
    """
    last = max(0.0, duration_s - length_s)
    first = rng.uniform(0.0, last)
    longest = min(max_gap_s, last)
    if longest == 0:
        return np.full(count, first)
    power = gap_power + 1
    room = np.minimum([first, last - first], longest)  # before and after the first slice
    mass = 1 - (1 - room / longest) ** power  # of the density within that room
    drawn = rng.uniform(-mass[0], mass[1], count - 1)
    gaps = longest * (1 - (1 - np.abs(drawn)) ** (1 / power))
    starts: Times = np.concatenate([[first], first + np.sign(drawn) * gaps]).clip(0.0, last)
    return starts


class Playback(NamedTuple):
    """How slices are played."""

    rates: NDArray[np.int64]
    """(n,) how many times faster"""
    backwards: NDArray[np.bool_]
    """(n,)"""

    @property
    def fields(self) -> NDArray[np.float32]:
        """(n, 2) both as numbers."""
        return np.stack([self.rates, self.backwards], axis=1).astype(np.float32)


def draw_playback(
    key: tuple[int | str, ...],
    duration_s: float,
    length_s: float,
    count: int,
    rates: Sequence[int],
    reverse: float,
) -> Playback:
    """Draw how each slice of one video is played.

    The rate is uniform over those at which a slice lies within the video, and 1 where none does.

    Args:
        key: of their randomness.
        duration_s: seconds of video.
        length_s: seconds of a slice that is played as it is.
        count: slices.
        rates: to draw from, rising from 1.
        reverse: probability that a slice is played backwards.
    """
    fitting = [rate for rate in rates if rate * length_s <= duration_s + EPSILON_S] or [1]
    rngs = [generator(*key, number) for number in range(count)]
    drawn = [(fitting[rng.integers(len(fitting))], rng.random() < reverse) for rng in rngs]
    return Playback(np.array([rate for rate, _ in drawn]), np.array([backwards for _, backwards in drawn]))


def cells_shown(lengths: NDArray[np.int64], frames: int, backwards: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Which cell of a slice is shown at each of its moments.

    Backwards the cells before the video's end are shown in falling order, and then the first is held:

        forwards     0 1 2 3 3 3    T = 6, of which 4 are before the end
        backwards    3 2 1 0 0 0

    Args:
        lengths: (n,) cells before the video's end; the others hold the last of them.
        frames: cells a slice, T.
        backwards: (n,) which slices play backwards.

    Returns:
        (n, T) numbers of cells.
    """
    forwards = np.arange(frames)
    falling = (lengths[:, None] - 1 - forwards).clip(min=0)
    return np.where(backwards[:, None], falling, forwards)


def cell_times(starts: Times, frames: int, fps: float, rates: NDArray[np.int64] | int = 1) -> Times:
    """Middles of the cells of slices.

    A slice that plays r times faster has cells that are r times as long:

        video frames        f---f---f---f---f---f---f---f---f---f
        played as it is        [--x--|--x--|--x--)                  T = 3
        twice as fast          [-----x-----|-----x-----|-----x-----)

    Args:
        starts: (n,) starts in seconds.
        frames: cells a slice, T.
        fps: cells a second of playing.
        rates: (n,) how many times faster each slice plays, or one number for all.

    Returns:
        (n, T) times in seconds.
    """
    middles = (np.arange(frames) + 0.5) * np.broadcast_to(rates, starts.shape)[:, None] / fps
    times: Times = starts[:, None] + middles
    return times


def frames_at(times: Times, moments: Times) -> NDArray[np.int64]:
    """Index of the frame on screen at each moment.

    Args:
        times: (N,) rising presentation times in seconds, N at least 1.
        moments: times to look up, any shape.

    Returns:
        For each moment the last frame presented at or before it; the first frame for moments before any.
    """
    indices = np.searchsorted(times, moments + EPSILON_S, side="right") - 1
    return np.clip(indices, 0, len(times) - 1).astype(np.int64)


def thin(times: Times, duration_s: float, fps: float) -> NDArray[np.int64]:
    """Frames to keep of a video that is to have at most ``fps`` frames a second.

    Kept are the frames on screen at the multiples of 1/fps (|), each once and at its own time. At these
    moments, and so for every slice whose cells have their middles there, nothing changes:

        f--f--f--f--f--f--f--f--f--f    frames
        |----|----|----|----|----|--    multiples of 1/fps
        f--f-----f-----f--f-----f---    frames kept

    Args:
        times: (N,) rising presentation times in seconds, the first 0.
        duration_s: seconds of video.
        fps: most frames a second.

    Returns:
        Rising frame numbers, the first 0.
    """
    first = np.ceil((np.append(times, duration_s) - EPSILON_S) * fps)  # multiple since each frame is shown
    first[-1] = max(first[-1], 1)
    return np.flatnonzero(first[:-1] < first[1:]).astype(np.int64)


Array = TypeVar("Array")


class Slices(NamedTuple, Generic[Array]):
    """Decoded slices, all arrays with the same first axes (...)."""

    frames: Array
    """(..., T, H, W, 3) uint8"""
    lengths: Array
    """(...) int64, how many frames are real; the others repeat the last of them"""
    sound: Array
    """(..., S) int16 at 16 kHz; S is 0 for networks without an audio branch"""
    has_audio: Array
    """(...) bool, whether there is sound"""
