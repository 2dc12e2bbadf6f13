"""One pass over the packets of a stream that keeps numbers alone."""

from array import array
from dataclasses import dataclass
from fractions import Fraction

import av
import numpy as np
from numpy.typing import NDArray

from .entries import Entry, entry_of, is_hidden, length_size_of
from .readers.pulse import beat
from .timeline import MISSING, Clock, frame_step, uses_frame_counter

__all__ = ["Packets", "read_packets"]

Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False, kw_only=True)
class Packets:
    """The packets of a stream that hold anything, in the order they are stored."""

    pts: Ints
    """(P,) presentation stamps on the joined clock, ``MISSING`` where there is none."""
    dts: Ints
    """(P,) decoding stamps as stored, likewise."""
    durations: Ints
    """(P,) 0 where unknown."""
    shown: NDArray[np.bool_]
    """(P,) false for pictures that are only referred to, or lie outside the edited part."""
    entries: NDArray[np.int8]
    """(P,) :class:`.Entry` of each."""
    shifts: tuple[int, ...]
    """What is added to the stamps of each part of which the clock starts anew."""
    corrupt: bool
    """Whether the container found damage."""
    tick: Fraction
    """Seconds of a stamp's unit."""
    step: Fraction
    """Seconds from frame to frame where nothing else says."""
    counted: bool
    """Whether presentation stamps are guesses made from a count of stored frames."""


def read_packets(container: av.container.InputContainer, stream: av.VideoStream) -> Packets:
    """Read a stream's packets once, from where the container is.

    Args:
        container: just opened.
        stream: its pictures.

    Raises:
        av.FFmpegError: the file ends in an error.
    """
    codec = stream.codec_context.codec.canonical_name
    length_size = length_size_of(codec, stream.codec_context.extradata)
    clock = Clock(container, stream, frame_step(stream))
    pts, dts, durations = array("q"), array("q"), array("q")
    shown, entries = bytearray(), bytearray()
    shifts, corrupt = [0], False
    for packet in container.demux(stream):
        beat()
        if not packet.size:
            continue
        joined = clock.join(packet.pts, packet.dts, packet.duration)
        pts.append(MISSING if joined is None else joined)
        dts.append(MISSING if packet.dts is None else packet.dts)
        durations.append(packet.duration or 0)
        shown.append(not packet.is_discard and not (codec == "vp8" and is_hidden(codec, memoryview(packet))))
        entries.append(entry_of(codec, memoryview(packet), length_size) if packet.is_keyframe else Entry.NONE)
        corrupt |= packet.is_corrupt
        if clock.part == len(shifts):
            shifts.append(clock.shift)
    stamps, decoding = np.array(pts, np.int64), np.array(dts, np.int64)
    return Packets(
        pts=stamps,
        dts=decoding,
        durations=np.array(durations, np.int64),
        shown=np.array(shown, np.bool_),
        entries=np.array(entries, np.int8),
        shifts=tuple(shifts),
        corrupt=corrupt,
        tick=stream.time_base or Fraction(1),
        step=frame_step(stream),
        counted=uses_frame_counter(container) and bool((stamps != decoding).any()),
    )
