"""Decoded frames kept on the disk during a run, so that a small corpus is decoded only once."""

import mmap
import os
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sora_video.base.errors import StorageError, VideoError
from sora_video.base.files import atomic_path
from sora_video.base.locks import locked
from sora_video.base.storage import storage_errors

from .decode import Frames, open_video
from .picture import Picture

__all__ = ["FEATURES", "FrameCache", "entry_key", "frames_budget"]

MAX_FRAMES = 1500
"""Longer videos are not cached: they cost more to decode whole than a run reads of them."""
CHUNK = 128
"""Frames decoded at once, to bound memory."""
SUFFIX = ".frames"
FEATURES = ".npy"
"""Of features of frames, which share the budget."""
TIME_BYTES = 8
MOST_TIMES = 16
"""Of the bytes of a corpus that its frames may take; videos that are packed tighter are quick to decode."""
LEAST_BYTES = 2**31
"""That frames may take, however small the corpus."""


def frames_budget(paths: Iterable[Path], most_bytes: int) -> int:
    """Disk space for the frames of a corpus.

    Args:
        paths: its files; one that cannot be read counts as empty.
        most_bytes: that the user allows.
    """
    size = 0
    for path in set(paths):
        with suppress(OSError, ValueError):
            size += path.stat().st_size
    return min(most_bytes, max(LEAST_BYTES, MOST_TIMES * size))


class CachedFrames:
    """Frames read from an entry of the cache: N times and the length in seconds, then N pictures.

    Args:
        entry: the entry's file.
        size: pixels of a side of its pictures.

    Raises:
        FileNotFoundError: there is no such entry.
    """

    def __init__(self, entry: Path, size: int) -> None:
        with entry.open("rb") as file:
            memory = np.frombuffer(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ), np.uint8)
        count = len(memory) // frame_bytes(size)
        start = TIME_BYTES * (count + 1)
        seconds: NDArray[np.float64] = memory[:start].view(np.float64)
        self.times, self.duration_s = seconds[:count], float(seconds[count])
        self.pixels = memory[start:].reshape(count, size, size, 3)

    def frames(self, indices: NDArray[np.int64]) -> NDArray[np.uint8]:
        """See :meth:`sora_video.pretrain.video.decode.Frames.frames`."""
        return self.pixels[indices]

    def close(self) -> None:
        """See :meth:`sora_video.pretrain.video.decode.Frames.close`."""


@dataclass(frozen=True)
class FrameCache:
    """Opens videos, and keeps every decoded frame of short ones up to a budget.

    Safe for any number of processes, on any number of machines that share the folder: an entry appears whole,
    by rename, all write the same bytes, and space is reserved under a lock before anything is decoded.
    """

    folder: Path
    """Where entries are kept; the owner deletes it."""
    budget_bytes: int
    """Disk space to use; 0 caches nothing."""
    picture: Picture
    """What frames are decoded to."""

    @property
    def indexes(self) -> Path | None:
        """Where indexes of videos are kept, whatever the budget; None where the owner's folder has gone."""
        return self.folder / "indexes" if self.folder.parent.is_dir() else None

    def open(self, path: Path) -> Frames:
        """Open a video through the cache; see :func:`sora_video.pretrain.video.decode.open_video`.

        Args:
            path: the video.

        Raises:
            VideoError: the video cannot be read.
        """
        if self.budget_bytes == 0 or (key := entry_key(path, self.picture)) is None:
            return open_video(path, self.picture)
        entry = self.folder / f"{key}{SUFFIX}"
        with suppress(FileNotFoundError):
            return CachedFrames(entry, self.picture.size)
        video = open_video(path, self.picture)
        needed = TIME_BYTES + len(video.times) * frame_bytes(self.picture.size)
        if len(video.times) > MAX_FRAMES or not self.reserve(needed):
            return video
        try:
            self.store(video, entry)
        except (StorageError, VideoError):
            self.reserve(-needed)
            return video  # no space, or a damaged frame: the frames that are needed may be readable
        video.close()
        return CachedFrames(entry, self.picture.size)

    def reserve(self, needed: int) -> bool:
        """Reserve bytes of the budget, or give them back.

        Args:
            needed: bytes to reserve; negative: to give back.

        Returns:
            Whether they are reserved; False where the budget is used up, or the folder cannot be written.
        """
        account = self.folder / "used"
        try:
            self.folder.mkdir(exist_ok=True)
            with locked(self.folder / "used.lock"):
                used = int(account.read_bytes()) if account.exists() else self.held()
                fits = needed < 0 or used + needed <= self.budget_bytes
                if fits:
                    account.write_bytes(b"%d" % (used + needed))
                return fits
        except (OSError, StorageError, ValueError):
            return False

    def recount(self) -> None:
        """Forget what killed processes reserved. One process calls it, before readers start."""
        with storage_errors(self.folder):
            (self.folder / "used").unlink(missing_ok=True)

    def held(self) -> int:
        """Bytes that entries take."""
        return sum(file.stat().st_size for suffix in (SUFFIX, FEATURES) for file in self.entries(suffix))

    def entries(self, suffix: str) -> Iterable[Path]:
        """The files of entries of one kind."""
        return self.folder.glob(f"[!.]*{suffix}")

    def drop_frames(self) -> int:
        """Delete the frames; features of frames stay. One process calls it, when readers have ended.

        Returns:
            The bytes that they took.
        """
        freed = 0
        for file in self.entries(SUFFIX):
            with suppress(OSError):
                freed += file.stat().st_size
                file.unlink()
        with suppress(OSError):
            (self.folder / "used").unlink()
        return freed

    def store(self, video: Frames, entry: Path) -> None:
        """Decode a whole video into the cache.

        Args:
            video: the opened video, decoded to the cache's picture.
            entry: receives N presentation times and the video's length, in seconds, as float64, and
                (N, H, W, 3) uint8 pixels.

        Raises:
            StorageError: the disk refused the write.
            VideoError: a frame cannot be decoded.
        """
        count = len(video.times)
        with atomic_path(entry) as beside, beside.open("wb") as file:
            file.write(np.append(video.times, video.duration_s).tobytes())
            for start in range(0, count, CHUNK):
                file.write(video.frames(np.arange(start, min(start + CHUNK, count))).tobytes())


def frame_bytes(size: int) -> int:
    """Bytes of an entry for each frame, its time included."""
    return TIME_BYTES + size * size * 3


def entry_key(path: Path, picture: Picture) -> str | None:
    """A name for the pictures of a file's present content; None if there is no file.

    Args:
        path: the file.
        picture: what its frames are decoded to.
    """
    try:
        state = path.stat()
    except (OSError, ValueError):
        return None
    content = b"%s %d %d" % (os.fsencode(path.absolute()), state.st_size, state.st_mtime_ns)
    name = b"%s %s" % (repr(picture).encode(), content)
    return blake2b(name, digest_size=12).hexdigest()
