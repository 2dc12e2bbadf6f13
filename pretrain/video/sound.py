"""The sound of slices: mono at 16 kHz, on the clock of the pictures."""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import av
import numpy as np
from numpy.typing import NDArray

from .opening import open_media, sound_stream
from .timeline import Follower

__all__ = ["RATE", "Sound", "read_sound"]

RATE = 16_000
"""Samples a second."""
LEAST_COVERED = 0.9
"""Part of a slice that must have sound for it to count."""
SILENCE_DB = -60.0
"""Root mean square, relative to full scale, below which a slice is silent."""
PREROLL_S = 0.2
"""Decoded before a span: the first packets after a seek may lack what they build on."""
EDGE_S = 0.01
"""Kept on both sides of a span: the resampler's filter reaches as far."""
NEAR_S = 2.0
"""Slices that are no further apart are decoded in one go."""
SNAP_S = 0.02
"""Timestamps that jump by less are those of sound without a gap, rounded, or of blocks of uneven length."""


class Sound(NamedTuple):
    """The sound of n slices."""

    samples: NDArray[np.int16]
    """(n, S); zeros where ``has_audio`` is false."""
    has_audio: NDArray[np.bool_]
    """(n,) false where there is no sound, silence, too little of it, or damage."""


class Stretch(NamedTuple):
    """Decoded sound of whole seconds."""

    begin_s: int
    samples: NDArray[np.int16]
    covered: NDArray[np.bool_]
    """Where there was any."""


def read_sound(
    path: Path,
    origin_s: float,
    starts: NDArray[np.float64],
    length_s: float,
    part_shifts_s: tuple[float, ...] = (0.0,),
) -> Sound:
    """Decode exactly the spans of slices.

    What a slice sounds like does not depend on which others are read with it.

    Args:
        path: the file; one without sound, or with a broken track, is no error.
        origin_s: seconds on the container's clock at which the slices' clock begins.
        starts: (n,) starts in seconds.
        length_s: seconds of a slice.
        part_shifts_s: those of :class:`.VideoInfo`.

    Returns:
        S = round(length_s * 16000) samples of each slice, and which of them have audio.
    """
    sound = Sound(np.zeros((len(starts), round(length_s * RATE)), np.int16), np.zeros(len(starts), bool))
    if len(starts) == 0:
        return sound
    try:
        groups = neighbours(starts, length_s) if len(part_shifts_s) == 1 else [np.argsort(starts)]
        with open_media(path) as container:
            stream = sound_stream(container)
            if stream is not None:
                for rows in groups:
                    begin_s, end_s = starts[rows[0]] + origin_s, starts[rows[-1]] + origin_s + length_s
                    whole_s = math.floor(begin_s - EDGE_S), math.ceil(end_s + EDGE_S)
                    stretch = decode(container, stream, whole_s, part_shifts_s)
                    for row in rows:
                        cut(stretch, starts[row] + origin_s, row, sound)
    except (av.FFmpegError, ValueError, OverflowError):
        pass  # the rest of the track is lost; slices that were read are whole
    return sound


def neighbours(starts: NDArray[np.float64], length_s: float) -> list[NDArray[np.int64]]:
    """Rows in order of time, apart where more than ``NEAR_S`` lie between the end of one and the next."""
    order = np.argsort(starts, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(starts[order]) > length_s + NEAR_S) + 1)


def cut(stretch: Stretch, begin_s: float, row: int, sound: Sound) -> None:
    """Copy one slice out of a stretch, if there is enough to hear."""
    size = sound.samples.shape[1]
    first = round((begin_s - stretch.begin_s) * RATE)
    samples, covered = stretch.samples[first : first + size], stretch.covered[first : first + size]
    loudness = np.sqrt(np.mean(np.square(samples.astype(np.float64) / 2**15))) if len(samples) else 0.0
    if covered.sum() >= LEAST_COVERED * size and loudness > 10 ** (SILENCE_DB / 20):
        sound.samples[row, : len(samples)] = samples
        sound.has_audio[row] = True


def decode(
    container: av.container.InputContainer,
    stream: av.AudioStream,
    span_s: tuple[int, int],
    part_shifts_s: tuple[float, ...],
) -> Stretch:
    """Decode whole seconds, at which every sample rate has a sample, and resample them."""
    rate, (begin_s, end_s) = stream.rate, span_s
    buffer, covered = np.zeros((end_s - begin_s) * rate, np.float32), np.zeros((end_s - begin_s) * rate, bool)
    mixer = av.AudioResampler(format="fltp", rate=rate)
    place: int | None = None
    for frame in decoded(container, stream, begin_s - PREROLL_S, part_shifts_s):
        if frame.time is not None:
            told = round((frame.time - begin_s) * rate)
            place = told if place is None or abs(told - place) > SNAP_S * rate else place
        if place is None:
            continue
        if place >= len(buffer):
            break
        for mixed in mixer.resample(frame):
            samples = mixed.to_ndarray().mean(0)  # as many channels as there are
            inside = slice(max(0, place), max(0, min(len(buffer), place + len(samples))))
            buffer[inside] = samples[inside.start - place : inside.stop - place]
            covered[inside] = True
            place += len(samples)
    at = np.arange((end_s - begin_s) * RATE) * rate // RATE
    return Stretch(begin_s, resample(buffer, rate), covered[at])


def decoded(
    container: av.container.InputContainer,
    stream: av.AudioStream,
    begin_s: float,
    part_shifts_s: tuple[float, ...],
) -> Iterator[av.AudioFrame]:
    """Frames from a time on; packets that cannot be decoded leave a gap, as in a player.

    Before the clock's zero are packets that those after it build on, so that no seek is made there; nor is
    one in a file whose clock starts anew, as it could land in any part.
    """
    if begin_s > 0 and stream.time_base and len(part_shifts_s) == 1:
        container.seek(math.floor(begin_s / stream.time_base), stream=stream)
    follower = Follower(container, stream, part_shifts_s) if len(part_shifts_s) > 1 else None
    for packet in container.demux(stream):
        if follower:
            follower.move(packet)
        try:
            yield from packet.decode()
        except av.FFmpegError:
            continue


def resample(samples: NDArray[np.float32], rate: int) -> NDArray[np.int16]:
    """Whole seconds of mono sound at 16 kHz, by FFmpeg's resampler."""
    seconds = len(samples) // rate
    frame = av.AudioFrame.from_ndarray(samples[None], format="flt", layout="mono")
    frame.sample_rate = rate
    resampler = av.AudioResampler(format="s16", layout="mono", rate=RATE)
    parts = [part.to_ndarray()[0] for part in (*resampler.resample(frame), *resampler.resample(None))]
    found = np.concatenate(parts)[: seconds * RATE]
    return np.pad(found, (0, seconds * RATE - len(found)))
