"""The one way in which files are opened: as files, whatever their names or contents ask for."""

import os
from pathlib import Path

import av

from sora_video.base.errors import VideoError

__all__ = ["SAFELY", "name_of", "open_media", "reason", "sound_stream", "video_stream"]

OPENS_OTHERS = frozenset(
    {
        "alsa",
        "avs",
        "concat",
        "concatf",
        "dash",
        "fbdev",
        "hls",
        "image2",
        "image2pipe",
        "imf",
        "kmsgrab",
        "lavfi",
        "oss",
        "rtp",
        "rtsp",
        "sap",
        "sdp",
        "video4linux2,v4l2",
        "vobsub",
        "webm_dash_manifest",
        "x11grab",
    }
)
"""Formats that read other files, devices or the network."""
SAFELY = {
    "protocol_whitelist": "file",
    "format_whitelist": ",".join(sorted(av.formats_available - OPENS_OTHERS)),
}
"""Options of containers that read nothing but what they are given."""


def name_of(path: Path) -> str:
    """A file's name as FFmpeg takes it: absolute, so that nothing before a colon is read as a protocol.

    Args:
        path: any file, relative or absolute.

    Raises:
        VideoError: the name is not UTF-8.
    """
    try:
        name = os.path.abspath(path)  # noqa: PTH100 - keeps symbolic links, as Path.absolute keeps ".."
        name.encode()
    except UnicodeEncodeError as error:
        raise VideoError("file name is not UTF-8; rename it") from error
    return name


def open_media(
    path: Path, *, follow: bool = False, timeout_s: float | None = None
) -> av.container.InputContainer:
    """Open a file to read; nothing but this file is read, whatever it refers to.

    Args:
        path: the file.
        follow: wait at its end for it to grow.
        timeout_s: give up after so many seconds without data; None: never.

    Returns:
        Its container, to be closed by the caller.

    Raises:
        VideoError: its name is not UTF-8.
        av.FFmpegError: it cannot be opened.
    """
    options = {**SAFELY, "follow": "1"} if follow else SAFELY
    return av.open(f"file:{name_of(path)}", container_options=options, timeout=timeout_s)


def video_stream(container: av.container.InputContainer) -> av.VideoStream:
    """The first stream that is a moving picture rather than a cover image.

    Args:
        container: an opened file.

    Raises:
        VideoError: the file has no such stream.
    """
    for stream in container.streams.video:
        if not stream.disposition & av.stream.Disposition.attached_pic:
            return stream
    kinds = ", ".join(sorted({stream.type for stream in container.streams})) or "no"
    raise VideoError(f"no video stream (only {kinds} streams)")


def sound_stream(container: av.container.InputContainer) -> av.AudioStream | None:
    """The main sound stream; None if there is none that can be decoded.

    Args:
        container: an opened file.
    """
    stream = container.streams.best("audio")
    return stream if isinstance(stream, av.AudioStream) and stream.codec_context else None


def reason(error: Exception) -> str:
    """A library's error message as one short line.

    Args:
        error: of FFmpeg, the operating system or NumPy.
    """
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return text.strip().splitlines()[0]
