"""Packets at which decoding may start, told from what they hold."""

from collections.abc import Iterator
from enum import IntEnum

__all__ = ["Entry", "entry_of", "is_hidden"]

HEAD_BYTES = 4096
"""Searched for the start of the first picture in a packet."""
INTRA = frozenset(
    {
        "dnxhd",
        "dvvideo",
        "ffvhuff",
        "huffyuv",
        "jpeg2000",
        "mjpeg",
        "prores",
        "rawvideo",
        "utvideo",
        "v210",
        "qoi",
        "png",
        "jpegls",
    }
)
"""Codecs whose every picture stands alone."""
MARKED = frozenset(
    {
        "av1",
        "ffv1",
        "flv1",
        "h263",
        "mpeg1video",
        "mpeg2video",
        "mpeg4",
        "msmpeg4v2",
        "msmpeg4v3",
        "theora",
        "vp6f",
        "vp8",
        "vp9",
        "wmv1",
        "wmv2",
    }
)
"""Codecs whose key frames, where a container marks them, leave nothing to refer to behind them."""
H264_IDR, H264_SLICES = 5, range(1, 6)
HEVC_SAFE, HEVC_CRA, HEVC_SLICES = range(16, 21), 21, range(32)


class Entry(IntEnum):
    """What decoding gives that starts at a packet."""

    NONE = 0
    """Nothing that can be relied on."""
    UNPROVEN = 1
    """Perhaps what decoding from the start gives: to be compared."""
    SAFE = 2
    """From the packet's own picture on, in order of presentation, what decoding from the start gives."""


def entry_of(codec: str, packet: bytes | memoryview, length_size: int) -> Entry:
    """What a packet is that its container marks as a key frame.

    Args:
        codec: the decoder's name.
        packet: its content.
        length_size: bytes of the length before each unit of H.264 and HEVC; 0: start codes lie between them.
    """
    if codec in ("h264", "hevc"):
        return entry_of_units(codec, bytes(packet[: 16 * HEAD_BYTES]), length_size)
    return Entry.SAFE if codec in MARKED or codec in INTRA else Entry.UNPROVEN


def entry_of_units(codec: str, head: bytes, length_size: int) -> Entry:
    """By the type of the first slice."""
    units = lengths(head, length_size) if length_size else start_codes(head)
    for at in units:
        kind = head[at] & 31 if codec == "h264" else head[at] >> 1 & 63
        if codec == "h264" and kind in H264_SLICES:
            return Entry.SAFE if kind == H264_IDR else Entry.UNPROVEN
        if codec == "hevc" and kind in HEVC_SLICES:
            return Entry.SAFE if kind in HEVC_SAFE or kind == HEVC_CRA else Entry.UNPROVEN
    return Entry.UNPROVEN


def start_codes(head: bytes) -> Iterator[int]:
    """Where units begin that start codes lie between."""
    at = head.find(b"\0\0\1")
    while 0 <= at < len(head) - 3:
        yield at + 3
        at = head.find(b"\0\0\1", at + 3)


def lengths(head: bytes, length_size: int) -> Iterator[int]:
    """Where units begin that have their length before them."""
    at = 0
    while at + length_size < len(head):
        yield at + length_size
        at += length_size + int.from_bytes(head[at : at + length_size])


def length_size_of(codec: str, extradata: bytes | None) -> int:
    """Bytes of the length before each unit, as the header of an MP4 or Matroska stream says; 0: none."""
    if not extradata or extradata[0] != 1:
        return 0
    if codec == "h264" and len(extradata) > 4:
        return (extradata[4] & 3) + 1
    return (extradata[21] & 3) + 1 if codec == "hevc" and len(extradata) > 21 else 0


def is_hidden(codec: str, packet: bytes | memoryview) -> bool:
    """Whether a packet holds a picture that is not shown, only referred to: VP8 stores such pictures alone.

    Args:
        codec: FFmpeg's name of the codec.
        packet: its bytes, at least one.
    """
    return codec == "vp8" and not packet[0] >> 4 & 1
