"""What a corpus holds, and what of it cannot be read."""

import os
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from sora_video.base.errors import VideoError
from sora_video.base.progress import Bar

from .corpus import Corpus, Video
from .decode import open_video
from .inspect import inspect
from .quarantine import Failure

__all__ = ["Scan", "ScannedVideo", "scan"]

SIZE = (64, 64)


@dataclass(frozen=True)
class ScannedVideo:
    """One readable video."""

    video_id: str
    codec: str
    width: int
    height: int
    fps: float
    """Mean frames a second."""
    duration_s: float
    has_audio: bool


@dataclass(frozen=True)
class Scan:
    """A corpus, video by video."""

    videos: tuple[ScannedVideo, ...]
    failures: tuple[Failure, ...]

    @property
    def hours(self) -> float:
        """Hours of readable video."""
        return sum(video.duration_s for video in self.videos) / 3600

    def count(self, key: Callable[[ScannedVideo], str]) -> dict[str, int]:
        """Readable videos by a property, the most frequent first."""
        return dict(Counter(key(video) for video in self.videos).most_common())

    def as_json(self) -> dict[str, Any]:
        """The scan as plain values."""
        return {
            "videos": [asdict(video) for video in self.videos],
            "unreadable": [asdict(failure) for failure in self.failures],
            "hours": self.hours,
        }


def scan(corpus: Corpus) -> Scan:
    """Read every video's properties and decode its first and last frame.

    Args:
        corpus: the videos; a file that several rows name is scanned once.

    Returns:
        Properties of those that can be read, and reasons for those that cannot.
    """
    unique = list({video.video_id: video for video in corpus.videos}.values())
    results: list[ScannedVideo | Failure] = []
    with Bar("scan", len(unique), "videos") as bar, ThreadPoolExecutor(os.cpu_count()) as pool:
        for result in pool.map(scan_video, unique):
            results.append(result)
            bar.advance(len(results))
    return Scan(
        tuple(result for result in results if isinstance(result, ScannedVideo)),
        tuple(result for result in results if isinstance(result, Failure)),
    )


def scan_video(video: Video) -> ScannedVideo | Failure:
    """One video's properties, or why it cannot be read."""
    try:
        info = inspect(video.path)
        open_video(video.path, SIZE).frames(np.array([0, len(info.times) - 1]))
    except VideoError as error:
        return Failure(video.video_id, str(error))
    return ScannedVideo(
        video.video_id, info.codec, info.width, info.height, info.fps, info.duration_s, info.has_audio
    )
