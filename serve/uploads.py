"""Files that clients send: to a folder of their own, within limits, and away again."""

import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from fastapi import UploadFile

from sora_video.base.errors import ConfigError, CorpusError, VideoError
from sora_video.base.storage import storage_errors
from sora_video.pretrain.video.corpus import SUFFIXES
from sora_video.pretrain.video.images import IMAGES, by_number
from sora_video.pretrain.video.media_size import size_apart

from .refusals import TooLargeError
from .settings import UploadLimits

if TYPE_CHECKING:
    from .service import Service

__all__ = ["Upload", "received"]

BLOCK = 1 << 20
NAME = 100
"""Characters of a client's name of a file that a message has."""


@dataclass(frozen=True)
class Upload:
    """A video, or a folder of images, that a client sent."""

    path: Path
    name: str
    """As the client calls it."""

    @property
    def is_folder(self) -> bool:
        """Whether it is images."""
        return self.path.is_dir()

    def check(self, limits: UploadLimits) -> None:
        """Look at it by a supervised reader.

        Args:
            limits: of uploads.

        Raises:
            TooLargeError: it is longer, or has more pixels, than is taken.
            VideoError: it cannot be read.
        """
        for path in self.path.iterdir() if self.is_folder else (self.path,):
            size = size_apart(path, limits.reading, images=self.is_folder)
            if size.pixels > limits.pixels:
                raise TooLargeError(
                    f"{self.name}: {size.pixels:,} pixels, at most {limits.pixels:,}; reduce it"
                )
            if size.duration_s > limits.seconds:
                raise TooLargeError(
                    f"{self.name}: lasts {size.duration_s:.0f} s, at most {limits.seconds:.0f}; cut it"
                )

    @contextmanager
    def named(self) -> Iterator[None]:
        """Let errors name the file as the client does."""
        try:
            yield
        except (VideoError, CorpusError) as error:
            text = str(error)
            for path in (self.path.as_posix(), self.path.name):
                text = text.replace(path, self.name)
            raise VideoError(text if self.name in text else f"{self.name}: {text}") from error


@asynccontextmanager
async def received(files: Sequence[UploadFile], service: "Service") -> AsyncIterator[Upload]:
    """Keep what was sent while it is searched for.

    Args:
        files: a video, or images.
        service: of the server.

    Yields:
        The upload, in a folder that is deleted in the end.

    Raises:
        ConfigError: several files that are not all images were sent.
        TooLargeError: there are too many.
    """
    if len(files) > service.settings.uploads.files:
        raise TooLargeError(f"{len(files)} files, at most {service.settings.uploads.files}; send fewer")
    suffixes = [Path(file.filename or "").suffix.lower() for file in files]
    are_images = all(suffix in IMAGES for suffix in suffixes)
    if len(files) > 1 and not are_images:
        raise ConfigError(f"{len(files)} files: must be one video, or images ({', '.join(IMAGES)})")
    scratch = await service.making.run(make_scratch, service.settings.state / "uploads")
    try:
        yield await service.making.run(keep, files, scratch, are_images)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def make_scratch(folder: Path) -> Path:
    """A new empty folder."""
    with storage_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        return Path(tempfile.mkdtemp(dir=folder))


def keep(files: Sequence[UploadFile], scratch: Path, are_images: bool) -> Upload:
    """Write what was sent, under names of the server's own."""
    name = (files[0].filename or "the upload")[-NAME:]
    if not are_images:
        suffix = Path(name).suffix.lower()
        path = scratch / f"upload{suffix if suffix in SUFFIXES else '.mp4'}"
        write(files[0], path)
        return Upload(path, name)
    folder = scratch / "images"
    folder.mkdir()
    ordered = sorted(files, key=lambda file: by_number(Path(Path(file.filename or "").name)))
    for number, file in enumerate(ordered):
        write(file, folder / f"{number:06d}{Path(file.filename or '').suffix.lower()}")
    return Upload(folder, name if len(files) == 1 else f"{len(files)} images")


def write(file: UploadFile, path: Path) -> None:
    """Write one file."""
    with storage_errors(path), path.open("wb") as target:
        shutil.copyfileobj(file.file, target, BLOCK)
