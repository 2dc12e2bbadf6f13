"""What a video file holds: its pictures, when each is shown, and where decoding may start."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice
from pathlib import Path
from zlib import crc32

import av
import numpy as np
from numpy.typing import NDArray

from sora_video.base.errors import VideoError

from .entries import Entry
from .forward import Decoded, Walk, decode_packets
from .opening import open_media, reason, video_stream
from .packets import Packets, read_packets
from .pixels import Orientation, orientation, pixel_aspect, square_pixels
from .timeline import MISSING, last_duration, presented, times_of

__all__ = ["VideoInfo", "check_size", "inspect"]

MOST_PIXELS = 2**27
"""Pixels of a picture; 16 K has as many."""
HEAD = 24
"""Pictures decoded at the start to see whether packets can be trusted."""
LEAST_GAP = 0.6
"""Part of the usual time between pictures that two packets of an interlaced stream must lie apart; if they
do not, they may be the fields of one picture."""
PROVEN_ENTRIES, PROVEN_FRAMES, PROVEN_WITHIN = 3, 32, 3000
"""Doubtful entries that are compared, pictures of each, and how far into a file they may lie."""

Ints = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True, eq=False)
class VideoInfo:
    """One video file's properties; times are seconds from its first presented frame."""

    container: str
    codec: str
    width: int
    """Pixels a row, as stored."""
    height: int
    """Rows, as stored."""
    orientation: Orientation
    """How stored pictures are turned to be shown."""
    pixel_aspect: float
    """Width of a stored pixel over its height."""
    has_audio: bool
    origin_s: float
    """Seconds on the container's clock, which its sound has too, of the first frame."""
    part_shifts_s: tuple[float, ...]
    """Seconds added to the container's clock in each part of which the clock starts anew; the first is 0."""
    times: NDArray[np.float64]
    """(N,) rising presentation times of the frames."""
    duration_s: float
    """End of the last frame."""
    packets: Ints
    """(N,) number of the packet that each frame comes in, of those that hold anything."""
    reordered: bool
    """Whether frames are stored in another order than they are shown in."""
    plain: bool
    """Whether every key frame is an entry, what is stored after it is shown after it, and all is shown."""
    entry_packets: Ints
    """(S,) rising numbers of packets at which decoding may start; the first is 0."""
    entry_frames: Ints
    """(S,) rising numbers of the frames from which on what is decoded is right."""
    entry_stamps: Ints
    """(S, 2) presentation and decoding stamp of these packets; the first is not looked at."""
    verdicts: dict[str, bool] = field(default_factory=dict)
    """Readers that were compared on this file, and whether they show what they should."""

    @property
    def fps(self) -> float:
        """Mean frames a second."""
        return len(self.times) / self.duration_s

    @property
    def shown_size(self) -> tuple[float, float]:
        """Height and width of the picture as it is shown, in square pixels."""
        return square_pixels(self.height, self.width, self.orientation, self.pixel_aspect)

    @cached_property
    def numbers(self) -> dict[int, int]:
        """Frame numbers by packet."""
        return {packet: number for number, packet in enumerate(self.packets.tolist())}


def inspect(path: Path) -> VideoInfo:
    """Find a video's frames, their times, and the points at which decoding may start.

    Packets are read once. Where they say all, the first pictures alone are decoded, to see that they do;
    else, all are, and what comes out is what counts. See docs/timeline.md.

    Args:
        path: the file.

    Returns:
        Its properties.

    Raises:
        VideoError: the file is missing, empty, damaged or has no video frame.
    """
    try:
        check_file(path)
        with open_media(path) as container:
            stream = video_stream(container)
            check_size(stream)
            packets = read_packets(container, stream)
        if not packets.shown.any():
            raise VideoError("no video frames")
        with open_media(path) as container:
            return describe(path, container, packets)
    except (av.FFmpegError, OSError, ValueError) as error:
        raise VideoError(f"cannot be read: {reason(error)}") from error


def check_file(path: Path) -> None:
    """Refuse what is no file with anything in it."""
    try:
        str(path).encode()  # decoders take names as UTF-8
    except UnicodeEncodeError as error:
        raise VideoError("file name is not UTF-8; rename it") from error
    if not path.is_file():
        raise VideoError("file does not exist" if not path.exists() else "not a file")
    if path.stat().st_size == 0:
        raise VideoError("file is empty (0 bytes)")


def check_size(stream: av.VideoStream) -> None:
    """Refuse pictures that no camera makes, before one is decoded.

    Args:
        stream: the pictures.

    Raises:
        VideoError: they are too large.
    """
    width, height = stream.width or 0, stream.height or 0
    if width * height > MOST_PIXELS:
        raise VideoError(f"pictures of {width} x {height} pixels are larger than {MOST_PIXELS:,} pixels")


def describe(path: Path, container: av.container.InputContainer, packets: Packets) -> VideoInfo:
    """Decode as much as is needed to know a file's frames."""
    stream = video_stream(container)
    stream.thread_type = "NONE"
    decoding = decode_packets(container.demux(stream), stream)
    head = list(islice(decoding, HEAD))
    if not head:
        raise VideoError("no frame can be decoded")
    frames = trusted(packets, head)
    if frames is None:
        frames = decoded_order(packets, [*(one.packet for one in head), *(one.packet for one in decoding)])
    stamps = stamps_of(packets, frames)
    times = times_of(stamps, packets.tick, packets.step)
    told_s = float(packets.durations[frames[-1]] * packets.tick)
    entries = find_entries(path, packets, frames)
    tick = float(packets.tick)
    return VideoInfo(
        container=container.format.name,
        codec=stream.codec_context.codec.canonical_name,
        width=head[0].frame.width,
        height=head[0].frame.height,
        orientation=orientation(head[0].frame),
        pixel_aspect=pixel_aspect(stream),
        has_audio=bool(container.streams.audio),
        origin_s=0.0 if stamps[0] == MISSING else float(stamps[0] * packets.tick),
        part_shifts_s=tuple(shift * tick for shift in packets.shifts),
        times=times,
        duration_s=float(times[-1]) + last_duration(times, told_s, packets.step),
        packets=frames,
        reordered=bool((np.diff(frames) < 0).any()),
        plain=is_plain(packets, frames, entries),
        entry_packets=entries,
        entry_frames=first_frames(packets, frames, entries),
        entry_stamps=np.stack([packets.pts[entries], packets.dts[entries]], axis=1),
    )


def trusted(packets: Packets, head: list[Decoded]) -> Ints | None:
    """Packets in the order their pictures are shown, if stamps say it; None: all must be decoded.

    Pictures before the first that can be decoded are left out.
    """
    shown = np.flatnonzero(packets.shown)
    stamps = packets.pts[shown]
    if len(head) < HEAD or packets.corrupt or packets.counted or len(packets.shifts) > 1:
        return None
    order = shown[np.argsort(stamps, kind="stable")].astype(np.int64)
    gaps = np.diff(packets.pts[order])
    if packets.pts[order[0]] == MISSING or (gaps <= 0).any():
        return None
    given = np.array([one.packet for one in head], np.int64)
    begin = int(np.flatnonzero(order == given[0])[0])
    if not np.array_equal(order[begin : begin + len(given)], given):
        return None
    usual = np.median(np.diff(packets.pts[given]))
    if any(one.frame.interlaced_frame for one in head) and gaps.min() < LEAST_GAP * usual:
        return None
    return order[begin:]


def decoded_order(packets: Packets, given: list[int]) -> Ints:
    """Packets whose pictures are shown, of those in the order that decoding gave them.

    Of several with the same stamp the first is shown. Where a clock starts anew, pictures that would be shown
    before the part that they are stored in are left out.
    """
    order = np.array(given, np.int64)
    if packets.counted:
        return order
    stamps = packets.pts[order]
    if len(packets.shifts) > 1:
        return order[presented(stamps)]
    return order if (stamps == MISSING).any() else order[presented(np.sort(stamps))]


def stamps_of(packets: Packets, frames: Ints) -> Ints:
    """(N,) stamps of frames on the joined clock, rising but for those that are missing.

    Where stored frames are only counted, the k-th that is shown has the k-th of their decoding stamps. Where
    some stamps are missing, those that do not rise are not believed either.
    """
    if packets.counted:
        return np.sort(packets.dts[frames])
    stamps: Ints = packets.pts[frames]
    if (stamps == MISSING).any():
        stamps[~presented(stamps)] = MISSING
        return stamps
    return np.asarray(np.sort(stamps))


def find_entries(path: Path, packets: Packets, frames: Ints) -> Ints:
    """Packets at which decoding may start; where clocks restart or stamps are missing, only the first."""
    start = np.zeros(1, np.int64)
    stamps = packets.pts
    if packets.counted or len(packets.shifts) > 1 or (np.diff(stamps[frames]) <= 0).any():
        return start
    least = Entry.SAFE
    doubtful = np.flatnonzero(packets.entries == Entry.UNPROVEN)
    if len(doubtful) and are_proven(path, packets, frames, doubtful[doubtful > 0]):
        least = Entry.UNPROVEN
    entries = np.flatnonzero((packets.entries >= least) & (stamps != MISSING))
    behind = stamps[frames[-1]] >= stamps[entries]  # something of what follows is shown
    entries = np.union1d(start, entries[behind])
    rising = np.append(True, np.diff(first_frames(packets, frames, entries)) > 0)
    return np.asarray(entries[rising], np.int64)


def is_plain(packets: Packets, frames: Ints, entries: Ints) -> bool:
    """Whether the simplest idea of key frames holds for a file."""
    if packets.counted or len(packets.shifts) > 1 or len(frames) < len(packets.pts):
        return False
    latest_key = np.maximum.accumulate(np.where(packets.entries > Entry.NONE, packets.pts, MISSING))
    all_enter = np.array_equal(np.flatnonzero(packets.entries > Entry.NONE), entries)
    return bool(all_enter and (packets.pts >= latest_key).all())


def first_frames(packets: Packets, frames: Ints, entries: Ints) -> Ints:
    """(S,) number of the first frame that is shown no earlier than each entry's; 0 for the start."""
    if len(entries) == 1:
        return np.zeros(1, np.int64)
    numbers = np.searchsorted(packets.pts[frames], packets.pts[entries]).astype(np.int64)
    numbers[0] = 0
    return numbers


def are_proven(path: Path, packets: Packets, frames: Ints, doubtful: Ints) -> bool:
    """Whether decoding that starts at doubtful entries gives what decoding from the start gives."""
    firsts = np.searchsorted(packets.pts[frames], packets.pts[doubtful])
    chosen = np.flatnonzero(firsts + PROVEN_FRAMES <= min(PROVEN_WITHIN, len(frames)))[:PROVEN_ENTRIES]
    if len(chosen) == 0:
        return False
    spans = {int(doubtful[row]): set(frames[firsts[row] :][:PROVEN_FRAMES].tolist()) for row in chosen}
    with closing(Walk(path)) as walk:
        truth = greys(walk.from_start(), set().union(*spans.values()))
        for entry, span in spans.items():
            decoding = walk.from_packet(entry, int(packets.pts[entry]), int(packets.dts[entry]))
            if decoding is None or greys(decoding, span) != {packet: truth.get(packet) for packet in span}:
                return False
        return True


def greys(decoding: Iterator[Decoded], packets: set[int]) -> dict[int, int]:
    """Checksums of the pictures of some packets, by packet."""
    sums: dict[int, int] = {}
    for packet, frame in decoding:
        if packet in packets:
            sums[packet] = crc32(frame.to_ndarray(format="gray").tobytes())
        if len(sums) == len(packets):
            break
    return sums
