"""The sound of a video, copied into an MP4 file."""

from fractions import Fraction

import av

__all__ = ["CopiedSound", "EncodedSound", "keep_sound"]

COPIED = frozenset({"aac", "ac3", "alac", "eac3", "flac", "mp3", "opus"})
"""Codecs that MP4 holds and players expect there; sound in others is encoded again."""


def keep_sound(
    given: av.AudioStream, made: av.container.OutputContainer, origin: Fraction
) -> "CopiedSound | EncodedSound":
    """Add a sound stream to a file: copied where MP4 can hold its codec, else encoded.

    Args:
        given: the stream that packets will come from.
        made: the file.
        origin: seconds on the given clock that are 0 in the file.
    """
    can_copy = given.codec_context.codec.canonical_name in COPIED
    return CopiedSound(given, made, origin) if can_copy else EncodedSound(given, made, origin)


class CopiedSound:
    """Packets as they are, on the new clock.

    Args:
        given: the stream that packets come from.
        made: the file to write to.
        origin: seconds on the given clock that are 0 in the file.
    """

    def __init__(self, given: av.AudioStream, made: av.container.OutputContainer, origin: Fraction) -> None:
        self.made, self.origin = made, origin
        self.stream = made.add_stream_from_template(given)
        self.last: int | None = None

    def take(self, packet: "av.Packet[av.AudioStream]") -> None:
        """Write a packet; one out of order, which only a damaged file has, is left out.

        Args:
            packet: the next one of the stream; it is changed.
        """
        if packet.dts is None or packet.pts is None or (self.last is not None and packet.dts <= self.last):
            return
        self.last = packet.dts
        shift = round(self.origin / packet.time_base)
        packet.dts, packet.pts = packet.dts - shift, packet.pts - shift
        packet.stream = self.stream
        self.made.mux(packet)

    def close(self) -> None:
        """Nothing is held back."""


class EncodedSound:
    """The same sound as AAC, in mono or stereo.

    Args:
        given: the stream that packets come from.
        made: the file to write to.
        origin: seconds on the given clock that are 0 in the file.
    """

    def __init__(self, given: av.AudioStream, made: av.container.OutputContainer, origin: Fraction) -> None:
        self.made, self.origin = made, origin
        rates = av.Codec("aac", "w").audio_rates or []
        self.stream = made.add_stream("aac", rate=given.rate if given.rate in rates else 48000)
        self.stream.layout = "mono" if given.channels == 1 else "stereo"

    def take(self, packet: "av.Packet[av.AudioStream]") -> None:
        """Decode a packet and encode its sound; one that cannot be decoded leaves a gap, as in a player.

        Args:
            packet: the next one of the stream.
        """
        try:
            frames = packet.decode()
        except av.FFmpegError:
            return
        for frame in frames:
            if frame.pts is not None and frame.time_base:
                frame.pts -= round(self.origin / frame.time_base)
                self.made.mux(self.stream.encode(frame))

    def close(self) -> None:
        """Write what the encoder still holds."""
        self.made.mux(self.stream.encode(None))
