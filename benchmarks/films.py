"""Small films whose frame numbers can be read from their pictures, in many containers and codecs."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.video.reformatter import ColorRange
from numpy.typing import NDArray

__all__ = ["FILMS", "Film", "draw_number", "read_number", "write_film"]

Picture = NDArray[np.uint8]
ROWS, COLUMNS = 3, 4
HEIGHT, WIDTH, RATE, COUNT = 96, 128, 25, 60
X264 = "keyint=12:min-keyint=12:scenecut=0:threads=1:"
X265 = "keyint=12:min-keyint=12:scenecut=0:log-level=none:pools=1:frame-threads=1:"
INTERLACED = {"flags": "+ilme+ildct"}
STRUCTURES: dict[str, dict[str, tuple[str, dict[str, str]]]] = {
    "h264": {
        "no B-frames": ("libx264", {"x264-params": f"{X264}bframes=0"}),
        "closed groups": ("libx264", {"x264-params": f"{X264}bframes=3:b-adapt=0:open-gop=0"}),
        "open groups": ("libx264", {"x264-params": f"{X264}bframes=3:b-adapt=0:open-gop=1"}),
        "intra refresh": ("libx264", {"x264-params": f"{X264}bframes=0:intra-refresh=1"}),
        "interlaced": ("libx264", {"x264-params": f"{X264}bframes=2:b-adapt=0:tff=1"}),
    },
    "hevc": {
        "no B-frames": ("libx265", {"preset": "ultrafast", "x265-params": f"{X265}bframes=0:open-gop=0"}),
        "closed groups": ("libx265", {"preset": "ultrafast", "x265-params": f"{X265}bframes=3:open-gop=0"}),
        "open groups": ("libx265", {"preset": "ultrafast", "x265-params": f"{X265}bframes=3:open-gop=1"}),
    },
    "mpeg2": {
        "no B-frames": ("mpeg2video", {"g": "12", "bf": "0"}),
        "closed groups": (
            "mpeg2video",
            {"g": "12", "bf": "2", "flags": "+cgop", "sc_threshold": "1000000000"},
        ),
        "open groups": ("mpeg2video", {"g": "12", "bf": "2"}),
        "interlaced": ("mpeg2video", {"g": "12", "bf": "2", **INTERLACED}),
    },
    "mpeg4": {
        "no B-frames": ("mpeg4", {"g": "12", "bf": "0"}),
        "open groups": ("mpeg4", {"g": "12", "bf": "2"}),
    },
    "vp8": {"hidden pictures": ("libvpx", {"g": "12", "auto-alt-ref": "1", "lag-in-frames": "10"})},
    "vp9": {"hidden pictures": ("libvpx-vp9", {"g": "12", "auto-alt-ref": "1", "lag-in-frames": "10"})},
    "av1": {"hidden pictures": ("libsvtav1", {"g": "12", "preset": "12", "svtav1-params": "lp=1"})},
    "mjpeg": {"pictures alone": ("mjpeg", {})},
    "prores": {"pictures alone": ("prores_ks", {})},
}
FORMATS = {"mjpeg": "yuvj420p", "prores": "yuv422p10le"}
CONTAINERS = {
    "mp4": ("h264", "hevc", "mpeg2", "mpeg4", "vp9", "av1", "mjpeg"),
    "mov": ("h264", "hevc", "mpeg2", "mpeg4", "mjpeg", "prores"),
    "mkv": ("h264", "hevc", "mpeg2", "mpeg4", "vp8", "vp9", "av1", "mjpeg", "prores"),
    "webm": ("vp8", "vp9", "av1"),
    "avi": ("h264", "mpeg2", "mpeg4", "vp8", "mjpeg"),
    "ts": ("h264", "hevc", "mpeg2", "mpeg4"),
    "m2ts": ("h264", "mpeg2"),
    "flv": ("h264", "hevc"),
    "mpg": ("h264", "mpeg2"),
    "ogv": ("vp8",),
    "mxf": ("h264", "mpeg2", "prores"),
}
MUXERS = {"m2ts": "mpegts"}


@dataclass(frozen=True)
class Film:
    """A kind of film."""

    container: str
    codec: str
    structure: str

    @property
    def name(self) -> str:
        """A file name."""
        return f"{self.codec}, {self.structure}.{self.container}"


def kinds() -> Iterator[Film]:
    """All that combine."""
    for container, codecs in CONTAINERS.items():
        for codec in codecs:
            for structure in STRUCTURES[codec]:
                yield Film(container, codec, structure)
    for container in ("mp4", "mov"):
        for structure in ("no B-frames", "closed groups", "open groups"):
            yield Film(container, "h264", f"{structure}, edit list")


FILMS = tuple(kinds())


def draw_number(number: int, height: int = HEIGHT, width: int = WIDTH) -> Picture:
    """A picture of a number below 4096: its bits as twelve black or white fields, readable at any size."""
    picture = np.full((height, width, 3), 96, np.uint8)
    bits = (number >> np.arange(ROWS * COLUMNS) & 1).reshape(ROWS, COLUMNS)
    for row, column in np.ndindex(ROWS, COLUMNS):
        top, bottom = row * height // ROWS + 4, (row + 1) * height // ROWS - 4
        left, right = column * width // COLUMNS + 4, (column + 1) * width // COLUMNS - 4
        picture[top:bottom, left:right] = 235 if bits[row, column] else 20
    return picture


def read_number(picture: Picture) -> int:
    """The number that a picture shows, whatever its size."""
    height, width = picture.shape[:2]
    rows = ((np.arange(ROWS) + 0.5) * height / ROWS).astype(int)
    columns = ((np.arange(COLUMNS) + 0.5) * width / COLUMNS).astype(int)
    grey = picture.astype(float).mean(2)
    around = [grey[rows + down][:, columns + right] for down in (-1, 0, 1) for right in (-1, 0, 1)]
    return int((np.mean(around, axis=0).ravel() > 128) @ (1 << np.arange(ROWS * COLUMNS)))


def write_film(
    path: Path, film: Film, numbers: Iterable[int] = range(COUNT), first_s: Fraction | int = 0
) -> Path:
    """Write a film that shows numbers.

    Args:
        path: the file.
        film: its kind.
        numbers: shown, one a picture.
        first_s: seconds at which the first is presented.
    """
    structure, _, edited = film.structure.partition(", ")
    codec, options = STRUCTURES[film.codec][structure]
    edit = {"movflags": "use_metadata_tags", "use_editlist": "1"} if edited else {}
    with av.open(path, "w", format=MUXERS.get(film.container), container_options=edit) as made:
        pixels = FORMATS.get(film.codec, "yuv420p")
        stream = made.add_stream(
            codec, rate=RATE, options=options, width=WIDTH, height=HEIGHT, pix_fmt=pixels
        )
        assert isinstance(stream, av.VideoStream)
        if pixels == "yuvj420p":
            stream.codec_context.color_range = ColorRange.JPEG
        # What is presented before 0 is left out by an edit list.
        begin = Fraction(first_s) * RATE - (EDIT if edited else 0)
        for packet in encode(stream, numbers, round(begin)):
            made.mux(packet)
    return path


EDIT = 17
"""Frames that an edit list leaves out, the last of them in the middle of a group."""


def encode(
    stream: av.VideoStream, numbers: Iterable[int], begin: int
) -> "Iterator[av.Packet[av.VideoStream]]":
    """The packets of pictures of numbers; ``begin``: frames from 0 to the first."""
    for place, number in enumerate(numbers):
        frame = av.VideoFrame.from_ndarray(draw_number(number), format="rgb24")
        frame.pts, frame.time_base = begin + place, Fraction(1, RATE)
        yield from stream.encode(frame)
    yield from stream.encode(None)
