"""When each picture of a stream is shown; the rules are those of docs/timeline.md.

Truth is decoding forward from the start, in the order in which pictures are presented, as a player would.
Nothing here decodes.
"""

from fractions import Fraction
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

__all__ = [
    "MISSING",
    "Clock",
    "Follower",
    "frame_step",
    "last_duration",
    "presented",
    "times_of",
    "uses_frame_counter",
]

MISSING = -(2**63)
"""In place of a stamp that is not there."""
JUMP_S = 60.0
"""Seconds without a frame that are taken for a clock that was set anew, where clocks run on their own."""
OVERLAP_S = 1.0
"""Seconds that decoding times may fall back where FFmpeg works them out, without a clock that restarts."""
RUNNING = frozenset({"mpegts", "mpeg", "mpegtsraw", "flv", "rtsp", "rtp", "rtp_mpegts", "dhav"})
"""Formats whose stamps are those of a clock that ran while they were written."""
DEFAULT_RATE = 25
NEIGHBOUR = 1.5
"""Frames that stamps may be off where some are missing: they may be those of the picture before or after."""

Ints = NDArray[np.int64]
Times = NDArray[np.float64]


def uses_frame_counter(container: av.container.InputContainer) -> bool:
    """Whether a format counts frames as they are stored, without the order in which they are shown.

    Args:
        container: an opened file.
    """
    return container.format.name == "avi"


def frame_step(stream: av.VideoStream) -> Fraction:
    """Seconds from frame to frame, by the stream's frame rate.

    Args:
        stream: one without timestamps; without a frame rate too, a default is used.
    """
    rate = stream.average_rate or stream.guessed_rate or stream.base_rate or DEFAULT_RATE
    return 1 / Fraction(rate)


class Clock:
    """Puts the stamps of one stream, in the order they are stored, on a clock that goes on to the end.

    A part whose clock starts anew goes on where the part before it ended.

    Args:
        container: says whether its clock can be set anew.
        stream: the stream, of pictures or sound.
        step: seconds of a frame that does not say how long it lasts.
    """

    def __init__(
        self, container: av.container.InputContainer, stream: av.stream.Stream, step: Fraction
    ) -> None:
        tick = stream.time_base or Fraction(1)
        runs = container.format.name in RUNNING
        self.step = max(1, round(step / tick))
        self.least = 0 if runs else -round(OVERLAP_S / tick)
        self.longest = round(JUMP_S / tick)
        self.most = self.longest if runs else 2**62
        self.part = 0
        """Times that the clock has started anew."""
        self.shift = 0
        """What the current part's stamps are moved by."""
        self.before: int | None = None
        self.end: int | None = None

    def join(self, pts: int | None, dts: int | None, duration: int | None) -> int | None:
        """The presentation stamp of the next packet on the joined clock; None where it has none."""
        if dts is not None:
            if self.before is not None and not self.least <= dts - self.before <= self.most:
                self.part += 1
                goes_on = self.before + self.shift if self.end is None else self.end
                self.shift = goes_on - (dts if pts is None else pts)
            self.before = dts
        if pts is None:
            return None
        joined = pts + self.shift
        ends = joined + (duration if duration and 0 < duration <= self.longest else self.step)
        self.end = ends if self.end is None else max(self.end, ends)
        return joined


class Follower:
    """Moves the packets of a stream of sound onto the joined clock of the pictures beside it.

    Args:
        container: the file.
        stream: the sound.
        shifts_s: seconds added to the clock of each part, as the pictures need it.
    """

    def __init__(
        self, container: av.container.InputContainer, stream: av.AudioStream, shifts_s: tuple[float, ...]
    ) -> None:
        self.tick = stream.time_base or Fraction(1)
        self.clock, self.shifts_s = Clock(container, stream, self.tick), shifts_s

    def move(self, packet: "av.Packet[Any]") -> None:
        """Set a packet's stamps; packets come in the order they are stored."""
        self.clock.join(packet.pts, packet.dts, packet.duration)
        shift = round(Fraction(self.shifts_s[min(self.clock.part, len(self.shifts_s) - 1)]) / self.tick)
        packet.pts = None if packet.pts is None else packet.pts + shift
        packet.dts = None if packet.dts is None else packet.dts + shift


def presented(stamps: Ints) -> NDArray[np.bool_]:
    """Which frames of those that decoding gives, in order, are shown: those stamped after all before them.

    Args:
        stamps: (n,) stamps, ``MISSING`` where there is none.

    Returns:
        (n,) true where shown.
    """
    latest = np.maximum.accumulate(np.append(MISSING, stamps))[:-1]
    return np.asarray((stamps > latest) | (stamps == MISSING))


def times_of(stamps: Ints, tick: Fraction, step: Fraction) -> Times:
    """Seconds of frames from the first one on.

    Args:
        stamps: (n,) stamps of the frames that are shown, in order; ``MISSING`` where there is none, which is
            told from the neighbours, or else from the frame rate.
        tick: seconds of a stamp's unit.
        step: seconds from frame to frame where nothing else says.

    Returns:
        (n,) rising times, the first 0.
    """
    known = np.flatnonzero(stamps != MISSING)
    numbers = np.arange(len(stamps), dtype=np.float64)
    if len(known) == 0:
        return numbers * float(step)
    at_known = (stamps[known] - stamps[known[0]]).astype(np.float64) * float(tick)
    if len(known) < len(stamps) and is_steady(at_known, known - known[0], float(step)):
        return numbers * float(step)
    times = np.interp(numbers, known, at_known)
    times += np.minimum(numbers - known[0], 0) * float(step)
    times += np.maximum(numbers - known[-1], 0) * float(step)
    return np.asarray(times - times[:1])


def is_steady(times: Times, numbers: Ints, step_s: float) -> bool:
    """Whether a few stamps are those of a steady rate, as near as a neighbour's stamp tells."""
    return bool(np.abs(times - numbers * step_s).max() < NEIGHBOUR * step_s)


def last_duration(times: Times, told_s: float, step: Fraction) -> float:
    """Seconds that the last frame is shown.

    A duration that the file tells is believed up to a minute, or up to the length of all before it.

    Args:
        times: (N,) rising times in seconds, at least one.
        told_s: what its packet says, 0 where it says nothing.
        step: seconds from frame to frame where nothing else says.
    """
    if 0 < told_s <= max(JUMP_S, float(times[-1])):
        return told_s
    return float(np.median(np.diff(times))) if len(times) > 1 else float(step)
