"""One video to a small copy of itself: fewer pixels, fewer frames, the same times."""

import errno
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av

from sora_video.base.errors import StorageError, VideoError
from sora_video.base.files import atomic_path

from ..forward import Decoder, decode_packets
from ..inspect import VideoInfo, inspect
from ..opening import open_media, reason, sound_stream, video_stream
from ..readers.pulse import beat
from ..timeline import Follower
from .picture import Picture, Settings, clock
from .sound import keep_sound

__all__ = ["transcode", "transcode_file"]

MP4 = {"movie_timescale": "90000"}  # on which the offset between picture and sound is written


def transcode(source: Path, target: Path, settings: Settings) -> int:
    """Write an upright, smaller copy of a video as MP4, with a keyframe every 8 frames.

    Kept frames keep their presentation times, relative to the first frame and to the sound; the copy lasts as
    long as the video.

    Args:
        source: the video.
        target: the file to write; it appears whole or not at all.
        settings: size and frame rate.

    Returns:
        Frames read.

    Raises:
        VideoError: the video cannot be read, in whole or in part.
        StorageError: the target cannot be written.
    """
    info = inspect(source)
    try:
        first = first_frame(source)
        with (
            open_media(source) as given,
            atomic_path(target) as path,
            av.open(path, "w", format="mp4", container_options=MP4) as made,
        ):
            convert(given, made, info, first, settings)
    except (av.FFmpegError, ValueError) as error:
        raise VideoError(f"cannot be converted: {reason(error)}") from error
    return len(info.times)


def transcode_file(task: tuple[Path, Path, Settings]) -> Iterator[int | StorageError]:
    """Prepare one video in a reader; see :func:`transcode`.

    Args:
        task: the video, the file to write, and the settings.

    Yields:
        Frames read, or why the folder cannot be written.

    Raises:
        VideoError: this one video cannot be copied.
    """
    try:
        yield transcode(*task)
    except StorageError as error:
        if getattr(error.__cause__, "errno", None) == errno.ENAMETOOLONG:
            raise VideoError("its name is too long for the temporary file beside it; shorten it") from error
        yield error


def first_frame(source: Path) -> av.VideoFrame:
    """The first frame that can be decoded."""
    with open_media(source) as container:
        stream = video_stream(container)
        stream.thread_type = "NONE"
        for _, frame in decode_packets(packets(container, stream), stream):
            return frame
    raise VideoError("no frame can be decoded")


def packets(container: av.container.InputContainer, *streams: av.stream.Stream) -> "Iterator[av.Packet[Any]]":
    """The packets of some streams, and for each stream an empty one at its end."""
    try:
        yield from container.demux(*streams)
    except (av.FFmpegError, OSError) as error:  # an error of reading, not of writing
        raise VideoError(f"cannot be read: {reason(error)}") from error


def convert(
    given: av.container.InputContainer,
    made: av.container.OutputContainer,
    info: VideoInfo,
    first: av.VideoFrame,
    settings: Settings,
) -> None:
    """Decode, reduce and encode the picture and copy the sound, in one pass."""
    video, audio = video_stream(given), sound_stream(given)
    video.thread_type = "NONE"
    start = round(Fraction(info.origin_s) / clock(video)) * clock(video)
    origin = start
    if audio and audio.start_time is not None:
        origin = min(start, audio.start_time * clock(audio))
    picture = Picture(made, video, info, first, settings, start - origin)
    decoder = Decoder(video)
    sound = keep_sound(audio, made, origin) if audio else None
    follower = Follower(given, audio, info.part_shifts_s) if audio else None
    for packet in packets(given, *filter(None, (video, audio))):
        beat()
        if packet.stream.index == video.index:
            for decoded in decoder.take(packet):
                picture.take(info.numbers.get(decoded.packet), decoded.frame)
        elif sound and follower and packet.size:
            follower.move(packet)
            sound.take(packet)
    for decoded in decoder.rest():
        picture.take(info.numbers.get(decoded.packet), decoded.frame)
    picture.close()
    if sound:
        sound.close()
