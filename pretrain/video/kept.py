"""Indexes of videos kept on disk by content, so that each is made once."""

import json
import os
from contextlib import suppress
from dataclasses import fields
from io import BytesIO
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from sora_video.base.digests import sampled_sha256
from sora_video.base.errors import StorageError
from sora_video.base.files import atomic_path
from sora_video.base.unfinished import sweep

from .inspect import VideoInfo
from .pixels import Orientation

__all__ = ["IndexStore"]

VERSION = 1
"""Raised whenever an index says something else of the same file; those of other versions are made anew."""
SAMPLES = 64
"""Places at which a file's content is looked at: short files are read whole."""
ARRAYS = frozenset({"times", "packets", "entry_packets", "entry_frames", "entry_stamps"})


class IndexStore:
    """A folder of indexes, safe for any number of processes: each file appears whole.

    Args:
        folder: made when something is kept.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def find(self, video: Path) -> VideoInfo | None:
        """The index of a file with this content; None where there is none that can be read.

        Raises:
            OSError: the video cannot be read.
        """
        file = self.file_of(video)
        try:
            kept = BytesIO(file.read_bytes())
            with suppress(OSError):  # of a folder that cannot be written
                os.utime(file)  # used now, see trim
            with np.load(kept, allow_pickle=False) as stored:
                values = json.loads(str(stored["values"]))
                if values.pop("version") != VERSION:
                    return None
                values["orientation"] = Orientation(*values["orientation"])
                values["part_shifts_s"] = tuple(values["part_shifts_s"])
                return VideoInfo(**values, **{name: stored[name] for name in ARRAYS})
        except FileNotFoundError:
            return None
        except (BadZipFile, EOFError, KeyError, TypeError, ValueError):
            return None

    def keep(self, video: Path, info: VideoInfo) -> None:
        """Write an index; where the disk refuses, it will be made again.

        Raises:
            OSError: the video cannot be read.
        """
        values = {field.name: getattr(info, field.name) for field in fields(info)}
        arrays = {name: values.pop(name) for name in ARRAYS}
        try:
            with atomic_path(self.file_of(video)) as beside, beside.open("wb") as file:
                np.savez(file, values=np.array(json.dumps({"version": VERSION, **values})), **arrays)
        except StorageError:
            pass

    def trim(self, most_bytes: int) -> None:
        """Delete the longest unused indexes, so that the folder does not grow for ever.

        Args:
            most_bytes: that all others may take.
        """
        with suppress(OSError, StorageError):
            sweep(self.folder)
            files = [(file.stat(), file) for file in self.folder.glob("*.npz")]
            for status, file in sorted(files, key=lambda one: one[0].st_mtime_ns, reverse=True):
                most_bytes -= status.st_size
                if most_bytes < 0:
                    file.unlink(missing_ok=True)

    def file_of(self, video: Path) -> Path:
        """Where the index of a file with this content is."""
        return self.folder / f"{sampled_sha256(video, SAMPLES).hex()[:32]}.npz"
