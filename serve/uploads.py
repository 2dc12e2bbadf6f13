"""Files that clients send: to a folder of their own, within limits, and away again."""

import shutil
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from fastapi import UploadFile

from sora_video.base.errors import CorpusError, VideoError
from sora_video.base.storage import storage_errors
from sora_video.base.unfinished import unfinished_folder
from sora_video.pretrain.video.corpus import SUFFIXES
from sora_video.pretrain.video.images import IMAGES, by_number
from sora_video.pretrain.video.media_size import size_apart

from .refusals import TooLargeError
from .settings import UploadLimits

if TYPE_CHECKING:
    from .service import Service

__all__ = ["Upload", "named", "received"]

BLOCK = 1 << 20
MOST_EXAMPLES = 20
"""Uploads of a request that are searched for at once."""
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
def named(uploads: "Sequence[Upload]") -> Iterator[None]:
    """Let errors name files as the client does.

    Args:
        uploads: that errors of the block may be about.
    """
    try:
        yield
    except (VideoError, CorpusError) as error:
        text = str(error)
        for upload in uploads:
            for path in (upload.path.as_posix(), upload.path.name):
                text = text.replace(path, upload.name)
        is_clear = len(uploads) > 1 or uploads[0].name in text
        raise VideoError(text if is_clear else f"{uploads[0].name}: {text}") from error


@asynccontextmanager
async def received(
    files: Sequence[UploadFile], service: "Service", *, apart: bool = False
) -> AsyncIterator[list[Upload]]:
    """Keep what was sent while it is searched for.

    Args:
        files: videos and images.
        service: of the server.
        apart: whether each image is an upload of its own; otherwise all of them are one.

    Yields:
        The uploads, in a folder that is deleted in the end.

    Raises:
        TooLargeError: there are too many.
    """
    if len(files) > service.settings.uploads.files:
        raise TooLargeError(f"{len(files)} files, at most {service.settings.uploads.files}; send fewer")
    images = [file for file in files if suffix_of(file) in IMAGES]
    parts = [[file] for file in files if suffix_of(file) not in IMAGES]
    parts += [[file] for file in images] if apart else [images] if images else []
    if len(parts) > MOST_EXAMPLES:
        raise TooLargeError(f"{len(parts)} examples, at most {MOST_EXAMPLES}; send fewer")
    with scratch_folder(service.settings.uploads_folder) as scratch:
        yield await service.receiving.run(keep_all, parts, scratch)


@contextmanager
def scratch_folder(folder: Path) -> Iterator[Path]:
    """A new empty folder below another one; deleted in the end, or by the next server if this one is killed.

    Raises:
        StorageError: it cannot be made.
    """
    with ExitStack() as stack:
        with storage_errors(folder):
            folder.mkdir(parents=True, exist_ok=True)
            scratch = stack.enter_context(unfinished_folder(folder / "upload"))
        yield scratch


def suffix_of(file: UploadFile) -> str:
    """The end of a client's name of a file."""
    return Path(file.filename or "").suffix.lower()


def keep_all(parts: Sequence[Sequence[UploadFile]], scratch: Path) -> list[Upload]:
    """Write what was sent, each upload under a name that no other has."""
    return [keep(files, scratch / f"upload-{number:03d}") for number, files in enumerate(parts)]


def keep(files: Sequence[UploadFile], place: Path) -> Upload:
    """Write one video, or images, under names of the server's own."""
    name = (files[0].filename or "the upload")[-NAME:]
    if suffix_of(files[0]) not in IMAGES:
        suffix = Path(name).suffix.lower()
        path = place.with_suffix(suffix if suffix in SUFFIXES else ".mp4")
        write(files[0], path)
        return Upload(path, name)
    place.mkdir()
    ordered = sorted(files, key=lambda file: by_number(Path(Path(file.filename or "").name)))
    for number, file in enumerate(ordered):
        write(file, place / f"{number:06d}{suffix_of(file)}")
    return Upload(place, name if len(files) == 1 else f"{len(files)} images")


def write(file: UploadFile, path: Path) -> None:
    """Write one file."""
    with storage_errors(path), path.open("wb") as target:
        shutil.copyfileobj(file.file, target, BLOCK)
