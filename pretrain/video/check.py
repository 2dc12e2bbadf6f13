"""How a reader checks one file: its header, some frames and some sound."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sora_video.base.errors import VideoError

from .changed import CHANGED, state
from .decode import open_video
from .known import KNOWN
from .sound import read_sound

__all__ = ["Properties", "check_file"]

SIZE = (64, 64)
HEARD_S = 1.0


@dataclass(frozen=True)
class Properties:
    """Properties of a readable video."""

    codec: str
    width: int
    height: int
    fps: float
    """Mean frames per second."""
    duration_s: float
    has_audio: bool


def check_file(path: Path) -> Iterator[Properties]:
    """Read a file's header, its first, middle and last frame, and a second of its sound.

    Args:
        path: the video.

    Yields:
        Its properties.

    Raises:
        VideoError: one of the frames cannot be read, or the file changed meanwhile.
    """
    before = state(path)
    info = KNOWN.inspect(path)
    last = len(info.times) - 1
    with closing(open_video(path, SIZE)) as frames:
        frames.frames(np.array([0, last // 2, last]))
    if info.has_audio:
        read_sound(path, info.origin_s, np.array([info.duration_s / 2]), HEARD_S, info.part_shifts_s)
    if state(path) != before:
        raise VideoError(CHANGED)
    yield Properties(info.codec, info.width, info.height, info.fps, info.duration_s, info.has_audio)
