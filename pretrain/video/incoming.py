"""What a reader does to a stream: decode it forward, once, into slices.

Slices are those that :mod:`.slices` cuts, on the same clock: T cells of 1/fps seconds, each shown by the
frame on screen at its middle. Nothing but the slices that are being filled is kept. What is left at the end
of a stream and does not fill a slice is not looked at, unless it is all there is. Times are those of
:mod:`.timeline`: where a camera starts its clock anew, it goes on as if it had not.
"""

import os
import select
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from sora_video.base.errors import VideoError

from .filling import Filling, StreamSlice
from .forward import Decoded, Decoder
from .inspect import check_size
from .opening import SAFELY, open_media, reason, video_stream
from .picture import Fit
from .pixels import orientation, pixel_aspect, square_pixels
from .reader import Grid
from .readers.pulse import beat
from .timeline import Clock, frame_step, uses_frame_counter

__all__ = ["End", "Source", "read_stream"]

MOST_HELD = 1000
"""Packets of which the times are kept, for pictures that still come."""
NETWORK = {"rtsp": {"rtsp_flags": "prefer_tcp"}}
"""Options by the scheme of an address."""
LOOK_S = 0.2
"""Seconds between two signs of life of a reader that waits for a pipe."""


@dataclass(frozen=True)
class Source:
    """Where a stream comes from."""

    name: str
    """A file or an address; empty: this process's standard input."""
    is_address: bool
    follows: bool
    """Whether to wait for the file to grow."""
    wait_s: float
    """Seconds without data after which a file that grows, or an address, has ended."""


@dataclass(frozen=True)
class End:
    """How a stream ended."""

    reason: str
    damaged: int
    """See :class:`.filling.StreamSlice`."""


def read_stream(task: tuple[Source, tuple[Grid, ...], float]) -> Iterator[StreamSlice | End]:
    """Slices of a stream, each as soon as its last frame has been seen.

    Args:
        task: the source, how slices are read, in one way or several, and the seconds between the starts of
            neighbours.

    Yields:
        Slices in order, and at last how it ended.

    Raises:
        VideoError: the source cannot be opened, or has no frame.
    """
    incoming = Incoming(*task)
    for one in incoming.slices():
        one.damaged, one.shape = incoming.damaged, incoming.shape
        yield one
    yield End(incoming.ended, incoming.damaged)


class Incoming:
    """One pass over a stream; see :func:`read_stream`."""

    def __init__(self, source: Source, grids: tuple[Grid, ...], hop_s: float) -> None:
        self.source, self.grids, self.hop_s = source, grids, hop_s
        self.fits: list[Fit] = []
        self.shape = (1.0, 1.0)
        """See :class:`.filling.StreamSlice`."""
        self.step_s = 0.0
        """Seconds from frame to frame where the stream does not say."""
        self.aspect = 1.0
        """Width of a stored pixel over its height."""
        self.damaged = 0
        self.ended = ""

    def slices(self) -> Iterator[StreamSlice]:
        """The slices, each as soon as its last frame has been seen."""
        filling = Filling(self.grids, self.hop_s)
        shown: av.VideoFrame | None = None
        before_s = step_s = 0.0
        for time_s, frame in self.timed():
            if shown is not None:
                yield from filling.show(before_s, time_s, partial(self.to_pixels, shown))
                step_s = time_s - before_s
            shown, before_s = frame, time_s
        if shown is None:
            raise VideoError(f"has no frame ({self.ended}); check that it plays")
        end_s, last = before_s + (step_s or self.step_s), partial(self.to_pixels, shown)
        yield from filling.show(before_s, end_s, last)
        yield from filling.end(end_s, last)

    def to_pixels(self, frame: av.VideoFrame, number: int) -> NDArray[np.uint8]:
        """A frame as a grid's slices show it; all are scaled to what the first one is."""
        if not self.fits:
            self.shape = square_pixels(frame.height, frame.width, orientation(frame), self.aspect)
            self.fits = [grid.picture.fit(self.shape) for grid in self.grids]
        return self.fits[number].convert(frame)

    def timed(self) -> Iterator[tuple[float, av.VideoFrame]]:
        """Frames with rising times in seconds, the first 0."""
        origin_s: float | None = None
        last_s: float | None = None
        for clock_s, frame in self.decoded():
            time_s = (last_s or 0.0) + self.step_s
            if last_s is None:
                origin_s, time_s = clock_s, 0.0
            elif clock_s is not None:
                origin_s = clock_s - time_s if origin_s is None else origin_s
                time_s = clock_s - origin_s
            if last_s is None or time_s > last_s:
                last_s = time_s
                yield time_s, frame

    def decoded(self) -> Iterator[tuple[float | None, av.VideoFrame]]:
        """Frames as they come, with seconds on the joined clock; damaged packets are passed over."""
        try:
            with self.open() as container:
                stream = video_stream(container)
                check_size(stream)
                stream.thread_type = "NONE"
                step = frame_step(stream)
                self.step_s, self.aspect = float(step), pixel_aspect(stream)
                yield from self.demuxed(container, stream, StampedPackets(container, stream, step))
        except (av.FFmpegError, VideoError, OSError, ValueError) as error:
            self.ended = reason(error)

    def demuxed(
        self, container: av.container.InputContainer, stream: av.VideoStream, stamped: "StampedPackets"
    ) -> Iterator[tuple[float | None, av.VideoFrame]]:
        """Frames until the end, or until no more data comes."""
        self.ended = "end of stream"
        decoder = Decoder(stream)
        try:
            for packet in container.demux():  # sound too: where it goes on, the stream does
                beat()
                if packet.stream is not stream:
                    continue
                stamped.add(decoder.number, packet)
                yield from map(stamped.look_up, decoder.take(packet))
                self.damaged = decoder.damaged
        except av.ExitError:
            self.ended = f"no data for {self.source.wait_s:g} s"
        yield from map(stamped.look_up, decoder.rest())

    def open(self) -> av.container.InputContainer:
        """Open the source."""
        source = self.source
        if source.is_address:
            scheme = source.name.partition("://")[0]
            return av.open(source.name, options=NETWORK.get(scheme, {}), timeout=source.wait_s)
        if not source.name:
            return av.open(Pipe(), "r", container_options=SAFELY)
        return open_media(Path(source.name), follow=source.follows, timeout_s=source.wait_s)


class Pipe:
    """Standard input as PyAV reads it; to wait for data is no hang, however long it takes."""

    def read(self, size: int) -> bytes:
        """The next bytes; none at the end."""
        while not select.select([0], [], [], LOOK_S)[0]:
            beat()
        return os.read(0, size)


class StampedPackets:
    """When the pictures of packets that are being decoded are shown."""

    def __init__(
        self, container: av.container.InputContainer, stream: av.VideoStream, step: Fraction
    ) -> None:
        self.clock = Clock(container, stream, step)
        self.tick = float(stream.time_base or 1)
        self.counted = uses_frame_counter(container)
        self.stamps: dict[int, int | None] = {}

    def add(self, number: int, packet: "av.Packet[Any]") -> None:
        """Note a packet before it is decoded."""
        if packet.size:
            pts = packet.dts if self.counted else packet.pts
            self.stamps[number] = self.clock.join(pts, packet.dts, packet.duration)
            self.stamps.pop(number - MOST_HELD, None)

    def look_up(self, decoded: Decoded) -> tuple[float | None, av.VideoFrame]:
        """Seconds on the joined clock at which a picture is shown."""
        number = decoded.packet
        if self.counted:  # the k-th picture is shown at the k-th decoding time
            number = min(self.stamps)
        stamp = self.stamps.pop(number, None)
        return None if stamp is None else stamp * self.tick, decoded.frame
