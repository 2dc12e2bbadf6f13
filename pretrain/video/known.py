"""What is known of videos that this process, or one before it, has opened."""

from collections import OrderedDict
from contextlib import suppress
from pathlib import Path

from .inspect import VideoInfo, inspect
from .kept import IndexStore

__all__ = ["KNOWN", "KnownVideos"]


class KnownVideos:
    """Remembers indexes, so that training finds the times of a video's frames once and not every epoch.

    A file that changes is inspected anew. The longest unused are forgotten.

    Args:
        frames: most frames to remember, at 24 bytes each.
    """

    def __init__(self, frames: int) -> None:
        self.room = frames
        self.infos: OrderedDict[tuple[Path, int, int], VideoInfo] = OrderedDict()
        self.store: IndexStore | None = None

    def keep_in(self, folder: Path | None) -> None:
        """Keep indexes on disk too, and look there first.

        Args:
            folder: see :class:`.IndexStore`; None: nowhere.
        """
        self.store = IndexStore(folder) if folder else None

    def inspect(self, path: Path) -> VideoInfo:
        """See :func:`sora_video.pretrain.video.inspect.inspect`."""
        try:
            status = path.stat()
        except (OSError, ValueError):
            return inspect(path)  # which says what is wrong with it
        key = (path.absolute(), status.st_size, status.st_mtime_ns)
        if key not in self.infos:
            self.remember(key, self.look_up(path))
        self.infos.move_to_end(key)
        return self.infos[key]

    def look_up(self, path: Path) -> VideoInfo:
        """The index that is kept on disk, or else a new one."""
        info = None
        if self.store:
            with suppress(OSError):  # which inspect names
                info = self.store.find(path)
        if info is None:
            info = inspect(path)
            self.keep(path, info)
        return info

    def keep(self, path: Path, info: VideoInfo) -> None:
        """Keep an index on disk, if there is a folder for it."""
        if self.store:
            with suppress(OSError):  # the file has gone meanwhile
                self.store.keep(path, info)

    def remember(self, key: tuple[Path, int, int], info: VideoInfo) -> None:
        """Add a video; forget others while there is no room, but never this one."""
        self.infos[key] = info
        self.room -= len(info.times)
        while self.room < 0 and len(self.infos) > 1:
            _, forgotten = self.infos.popitem(last=False)
            self.room += len(forgotten.times)


KNOWN = KnownVideos(frames=2_000_000)
"""The videos that this process has opened."""
