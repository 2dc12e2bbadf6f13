"""What is known of videos that this process has opened before."""

from collections import OrderedDict
from pathlib import Path

from .inspect import VideoInfo, inspect

__all__ = ["KnownVideos"]


class KnownVideos:
    """Remembers probes, so that training finds the times of a video's frames once and not every epoch.

    A file that changes is probed anew. The longest unused are forgotten.

    Args:
        frames: most frames to remember, at 16 bytes each.
    """

    def __init__(self, frames: int) -> None:
        self.room = frames
        self.infos: OrderedDict[tuple[Path, int, int], VideoInfo] = OrderedDict()

    def inspect(self, path: Path) -> VideoInfo:
        """See :func:`sora_video.pretrain.video.inspect.inspect`."""
        try:
            found = path.stat()
        except (OSError, ValueError):
            return inspect(path)  # which says what is wrong with it
        key = (path.absolute(), found.st_size, found.st_mtime_ns)
        if key not in self.infos:
            self.remember(key, inspect(path))
        self.infos.move_to_end(key)
        return self.infos[key]

    def remember(self, key: tuple[Path, int, int], info: VideoInfo) -> None:
        """Add a video; forget others while there is no room, but never this one."""
        self.infos[key] = info
        self.room -= len(info.times)
        while self.room < 0 and len(self.infos) > 1:
            _, forgotten = self.infos.popitem(last=False)
            self.room += len(forgotten.times)
