"""Image sequences: the images of a folder as a lossless film, which everything else can read."""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from tempfile import TemporaryDirectory

import av

from sora_video.base.errors import VideoError
from sora_video.base.kinds import not_there

from .opening import open_media, reason
from .readers.pulse import beat
from .readers.readers import Request, read_once

__all__ = ["IMAGES", "as_film", "by_number", "images_in"]

IMAGES = (".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")
"""Endings of the names of images."""


@contextmanager
def as_film(folder: Path, fps: float) -> Iterator[Path]:
    """A film of the images of a folder, which is deleted at the end of the context.

    A supervised reader makes it, as images may come from anyone.

    Args:
        folder: its images are shown in the order of their names, numbers in them by value; other files are
            left alone.
        fps: images a second.

    Yields:
        The film, named after the folder; its pictures have the size of the first image.

    Raises:
        VideoError: the folder has no image, an image cannot be read, or the rate is not in [0.001, 1000].
    """
    if not 1e-3 <= fps <= 1e3:
        raise VideoError(f"fps={fps:g}: must be between 0.001 and 1000 images per second")
    images = images_in(folder)
    with TemporaryDirectory() as scratch:
        film = Path(scratch) / f"{folder.resolve().name}.mkv"
        yield read_once(Request(0, make_film, ([image.absolute() for image in images], fps, film), folder))


def images_in(folder: Path) -> list[Path]:
    """The images of a folder in the order of their names, numbers in them by value.

    Args:
        folder: other files in it are left alone.

    Raises:
        VideoError: it has no image.
    """
    images = sorted((path for path in folder.iterdir() if path.suffix.lower() in IMAGES), key=by_number)
    if not images:
        reason = not_there(
            folder, "a folder of images", f"has no image; put {', '.join(IMAGES)} files into it"
        )
        raise VideoError(f"{folder}: {reason}")
    return images


def make_film(task: tuple[Sequence[Path], float, Path]) -> Iterator[Path]:
    """What a reader does for :func:`as_film`.

    Args:
        task: the images in order, images a second, and the film to write.

    Yields:
        The film.

    Raises:
        VideoError: an image cannot be read.
    """
    images, fps, film = task
    with av.open(film, "w") as made:
        rate = Fraction(fps).limit_denominator(1000)
        stream = made.add_stream("ffv1", rate=rate, pix_fmt="bgr0")
        for number, image in enumerate(images):
            beat()
            frame = read_image(image)
            if number == 0:
                stream.width, stream.height = frame.width, frame.height
            shown = frame.reformat(stream.width, stream.height, "bgr0")
            shown.pts, shown.time_base = number, 1 / rate
            made.mux(stream.encode(shown))
        made.mux(stream.encode(None))
    yield film


def by_number(path: Path) -> list[tuple[int, str]]:
    """What files are sorted by, so that frame-2 comes before frame-10.

    Args:
        path: of a file; its name counts.
    """
    parts = re.split(r"(\d+)", path.name)
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in parts]


def read_image(path: Path) -> av.VideoFrame:
    """The picture that a file holds; the first of several."""
    try:
        with open_media(path) as opened:
            return next(opened.decode(video=0))
    except (av.FFmpegError, OSError, IndexError, StopIteration) as error:
        raise VideoError(f"{path}: cannot be read as an image: {reason(error)}; fix it") from error
