"""What is made of a video to be seen: a preview where browsers do not play it, a poster, strips of frames."""

import hashlib
import json
from collections import OrderedDict
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from sora_video.base.errors import StorageError, VideoError
from sora_video.index.library import Library
from sora_video.index.store.place import FRAMES
from sora_video.pretrain.video.browsers import obstacle_apart
from sora_video.pretrain.video.film_facts import FilmFacts, film_apart
from sora_video.pretrain.video.pictures import pictures_at
from sora_video.pretrain.video.prepare.cut import Cut, cut_file
from sora_video.pretrain.video.prepare.picture import Settings as CopySettings
from sora_video.pretrain.video.prepare.transcode import transcode_file
from sora_video.pretrain.video.readers.limits import Limits
from sora_video.pretrain.video.readers.readers import Request, read_apart

from ..settings import Settings
from .cache import Cache
from .files import file_of

__all__ = ["Media"]

LIMITS = Limits(frame_s=30.0, video_s=900.0)
PREVIEW = CopySettings(size=360, fps=30.0)
CUT = CopySettings(size=480, fps=60.0)
CUT_LIMITS = Limits(frame_s=30.0, video_s=300.0)
REMEMBERED = 10_000
"""Files of which it is remembered whether browsers play them."""


class Media:
    """Makes and keeps media of a library's videos.

    Args:
        settings: of the server.
    """

    def __init__(self, settings: Settings) -> None:
        self.videos = settings.videos
        self.cache = Cache(settings.state / "media", settings.cache_mb << 20)
        self.obstacles: OrderedDict[str, str | None] = OrderedDict()

    def file(self, library: Library, video_id: str) -> Path:
        """The file of a video; see :func:`.files.file_of`."""
        return file_of(library, video_id, self.videos)

    def obstacle(self, path: Path) -> str | None:
        """Why browsers do not play a file; None where they do.

        Args:
            path: the file.

        Raises:
            VideoError: it is no video.
        """
        key = key_of(path)
        if key not in self.obstacles:
            self.obstacles[key] = obstacle_apart(path, LIMITS)
            while len(self.obstacles) > REMEMBERED:
                self.obstacles.popitem(last=False)
        return self.obstacles[key]

    def preview_name(self, path: Path) -> str:
        """The name of a file's preview in the cache.

        Args:
            path: the file.
        """
        return f"{key_of(path, 'preview', PREVIEW.size, PREVIEW.fps)}.mp4"

    def preview(self, path: Path) -> Path:
        """A small copy that browsers play.

        Args:
            path: the file.

        Raises:
            StorageError: the disk refused the copy.
            VideoError: the file cannot be read.
        """
        return self.cache.get(self.preview_name(path), lambda target: make_preview(path, target))

    def cut(self, library: Library, path: Path, span: tuple[float, float]) -> Path:
        """A span as a small film of its own.

        Args:
            library: that holds the video.
            path: its file.
            span: its start and end in seconds.

        Raises:
            StorageError: the disk refused the film.
            VideoError: the file cannot be read, or ends before the span.
        """
        indexes = library.path.absolute() / FRAMES

        def make(target: Path) -> None:
            task = Cut(path.absolute(), target.absolute(), *span, CUT, indexes)
            write_apart(cut_file, task, path, CUT_LIMITS)

        return self.cache.get(f"{key_of(path, 'cut', *span, CUT.size, CUT.fps)}.mp4", make)

    def film(self, library: Library, path: Path) -> FilmFacts:
        """Duration and frame rate of a file; what the library's videos were added by is not read again.

        Args:
            library: that holds the video.
            path: its file.

        Raises:
            VideoError: the file cannot be read.
        """
        return film_apart(path, LIMITS, library.path.absolute() / FRAMES)

    def frames(
        self, library: Library, path: Path, span: tuple[float, float], count: int, height: int
    ) -> Path:
        """Frames of a span side by side, as JPEG.

        Args:
            library: that holds the video.
            path: its file.
            span: its start and end in seconds.
            count: frames, spread evenly over it.
            height: most pixels of their short side.

        Raises:
            VideoError: the file cannot be read.
        """

        def make(target: Path) -> None:
            moments = span[0] + (np.arange(count) + 0.5) * (span[1] - span[0]) / count
            frames = pictures_at(path, height, moments, library.path.absolute() / FRAMES)
            Image.fromarray(np.concatenate(list(frames), axis=1)).save(target, "JPEG", quality=85)

        return self.cache.get(f"{key_of(path, 'frames', *span, count, height)}.jpg", make)


def key_of(path: Path, *more: Any) -> str:
    """A name for what is made of a file as it is now."""
    status = path.stat()
    text = json.dumps([str(path), status.st_size, status.st_mtime_ns, *more])
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()[:40]


def make_preview(path: Path, target: Path) -> None:
    """Copy a video, by a supervised reader."""
    write_apart(transcode_file, (path.absolute(), target.absolute(), PREVIEW), path, LIMITS)


def write_apart(function: Callable[[Any], Any], task: Any, path: Path, limits: Limits) -> None:
    """Let a supervised reader make a film of a file."""
    request = Request(0, function, task, path, attempts=1)
    with closing(read_apart([request], 1, limits)) as answers:
        for _, kind, value, _ in answers:
            if isinstance(value, StorageError):
                raise value
            if kind == "failed":
                raise VideoError(value)
