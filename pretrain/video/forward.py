"""Decoding in order of presentation: what every other way of reading must agree with."""

from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import av

from .opening import open_media, video_stream
from .readers.pulse import beat
from .timeline import MISSING

__all__ = ["Decoded", "Decoder", "Walk", "decode_packets"]


class Decoded(NamedTuple):
    """A picture as the decoder gives it."""

    packet: int
    """Number of the packet that it came in, of those that hold anything, in the order they are stored."""
    frame: av.VideoFrame


def decode_packets(
    packets: "Iterable[av.Packet[Any]]", stream: av.VideoStream, first: int = 0
) -> Iterator[Decoded]:
    """Decode packets to the end.

    Packets that cannot be decoded are passed over, as a player does. Each goes into the decoder with its
    number for a stamp, which the decoder hands on to the picture: so each picture is known, whatever the
    stamps of the file say.

    Args:
        packets: of the stream, as they are stored.
        stream: the pictures.
        first: number of the first packet.
    """
    decoder = Decoder(stream, first)
    for packet in packets:
        yield from decoder.take(packet)
    yield from decoder.rest()


class Decoder:
    """Takes packets in the order they are stored, gives pictures in the order they are shown.

    Args:
        stream: the pictures.
        first: number of the first packet.
    """

    def __init__(self, stream: av.VideoStream, first: int = 0) -> None:
        self.stream, self.number = stream, first
        self.damaged = 0
        """Packets that could not be decoded."""

    def take(self, packet: "av.Packet[Any]") -> list[Decoded]:
        """The pictures that a packet completes; none of one that cannot be decoded."""
        if not packet.size:  # a frame that was left out; FFmpeg would take it for the end
            return []
        packet.pts, self.number = self.number, self.number + 1
        return self.decode(packet)

    def rest(self) -> list[Decoded]:
        """The pictures that are still held at the end."""
        return self.decode(None)

    def decode(self, packet: "av.Packet[Any] | None") -> list[Decoded]:
        """Pictures, each with the number of its packet."""
        beat()
        try:
            frames = self.stream.decode(packet)
        except av.FFmpegError:
            self.damaged += 1
            return []
        return [Decoded(frame.pts, frame) for frame in frames if frame.pts is not None]


class Walk:
    """An open file whose pictures are decoded from the start, or from a packet on.

    Args:
        path: the file.

    Raises:
        VideoError: it holds no pictures.
        av.FFmpegError: it cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.open()

    def open(self) -> None:
        """Begin anew."""
        self.container = open_media(self.path)
        self.stream = video_stream(self.container)
        self.stream.thread_type = "NONE"
        self.touched = False

    def close(self) -> None:
        """Close the file, which else stays open until garbage is collected."""
        self.container.close()

    def from_start(self) -> Iterator[Decoded]:
        """Decode all packets."""
        if self.touched:
            self.close()
            self.open()
        self.touched = True
        return decode_packets(self.container.demux(self.stream), self.stream)

    def from_packet(self, number: int, pts: int, dts: int) -> Iterator[Decoded] | None:
        """Decode from a packet on.

        A seek may land anywhere. What comes before the packet is left out; None: it has passed already.

        Args:
            number: of the packet.
            pts: its presentation stamp.
            dts: its decoding stamp, ``MISSING`` where it has none.
        """
        self.touched = True
        for aim in dict.fromkeys((pts, dts)):
            if aim == MISSING:
                continue
            try:
                self.container.seek(aim, stream=self.stream)
            except av.FFmpegError:
                continue
            packets = self.container.demux(self.stream)
            for packet in packets:
                if packet.is_keyframe and packet.pts == pts:
                    return decode_packets(chain([packet], packets), self.stream, number)
                if has_passed(packet, pts, dts):
                    break
        return None


def has_passed(packet: "av.Packet[Any]", pts: int, dts: int) -> bool:
    """Whether a packet is stored behind the one with these stamps."""
    if dts != MISSING and packet.dts is not None:
        return packet.dts > dts
    return bool(packet.is_keyframe and packet.pts is not None and packet.pts > pts)
