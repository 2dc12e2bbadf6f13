"""Decoded frames kept on disk for the length of a run, so that a small corpus is decoded only once."""

import os
from hashlib import blake2b
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sora_video.base.errors import StorageError, VideoError
from sora_video.base.files import atomic_path

from .decode import Frames, open_video

__all__ = ["FrameCache"]

MAX_FRAMES = 1500
"""Longer videos are not cached: they cost more to decode whole than a run reads of them."""
CHUNK = 128
"""Frames decoded at once, to bound memory."""


class CachedFrames:
    """Frames read from the cache."""

    def __init__(self, frames_file: Path, times_file: Path) -> None:
        *times, self.duration_s = np.load(times_file)
        self.times: NDArray[np.float64] = np.array(times)
        self.pixels = np.load(frames_file, mmap_mode="r")

    def frames(self, indices: NDArray[np.int64]) -> NDArray[np.uint8]:
        """See :meth:`sora_video.pretrain.video.decode.Frames.frames`."""
        return np.asarray(self.pixels[indices])


class FrameCache:
    """Opens videos, keeping every decoded frame of short ones while the budget lasts.

    Safe for any number of processes: an entry appears whole, by rename, and all write the same bytes.

    Args:
        folder: where entries are kept; the owner deletes it.
        budget_bytes: disk space to use; 0 caches nothing.
        size: (height, width) in pixels that frames are decoded to.
    """

    def __init__(self, folder: Path, budget_bytes: int, size: tuple[int, int]) -> None:
        self.folder, self.budget, self.size = folder, budget_bytes, size

    def open(self, path: Path) -> Frames:
        """Open a video through the cache; see :func:`sora_video.pretrain.video.decode.open_video`."""
        if self.budget == 0:
            return open_video(path, self.size)
        key = blake2b(os.fsencode(path.absolute()), digest_size=12).hexdigest()
        frames_file, times_file = self.folder / f"{key}.npy", self.folder / f"{key}.times.npy"
        if not frames_file.exists():
            video = open_video(path, self.size)
            if not self.fits(len(video.times)):
                return video
            try:
                self.store(video, frames_file, times_file)
            except (StorageError, VideoError):
                return video  # no room, or damaged somewhere: what is asked for may still be read
        return CachedFrames(frames_file, times_file)

    def fits(self, frames: int) -> bool:
        """Whether so many more frames are worth caching and stay within the budget."""
        if frames > MAX_FRAMES:
            return False
        used = (
            sum(file.stat().st_size for file in self.folder.glob("[!.]*.npy")) if self.folder.is_dir() else 0
        )
        return used + frames * self.size[0] * self.size[1] * 3 <= self.budget

    def store(self, video: Frames, frames_file: Path, times_file: Path) -> None:
        """Decode a whole video into the cache; the frames' file is the commit point."""
        count = len(video.times)
        with atomic_path(times_file) as beside:
            np.save(beside, np.append(video.times, video.duration_s))
        header = {"descr": "|u1", "fortran_order": False, "shape": (count, *self.size, 3)}
        with atomic_path(frames_file) as beside, beside.open("wb") as file:
            np.lib.format.write_array_header_1_0(file, header)
            for start in range(0, count, CHUNK):
                file.write(video.frames(np.arange(start, min(start + CHUNK, count))).tobytes())
