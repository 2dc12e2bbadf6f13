"""The one door to what videos hold: everything that reads a corpus reads it through supervised readers."""

from collections.abc import Iterator
from pathlib import Path

from sora_video.base.processes import worker_count
from sora_video.configs.schema import PretrainConfig
from sora_video.configs.sections import DataConfig, SliceConfig

from .corpus import Corpus, Video
from .picture import Picture
from .quarantine import Failure
from .reader import Chunk, Grid, Span, all_slices
from .readers.limits import Limits
from .readers.readers import Request, read_apart

__all__ = ["grid_of", "limits_of", "picture_of", "read_videos", "span_of"]


def read_videos(
    corpus: Corpus,
    config: PretrainConfig,
    *others: PretrainConfig,
    indexes: Path | None = None,
    data: DataConfig | None = None,
) -> Iterator[tuple[int, Chunk | Failure]]:
    """All slices of a corpus, every video opened once.

    Slices start ``slice.hop_s`` apart, one more ends at the video's end, and a video shorter than a slice
    gives one slice that holds its last frame. Videos are decoded by processes of their own, see
    :mod:`.readers`, so that none of them ends the caller.

    Args:
        corpus: N videos or spans of videos.
        config: how slices are cut, whether they have sound, and what readers may take.
        others: how further encoders see the same slices, see :class:`.reader.Chunk`.
        indexes: folder to keep indexes of the videos in, see :class:`.kept.IndexStore`; None: nowhere.
        data: what readers may take; None: as ``config`` says.

    Yields:
        Number of the entry, and some of its slices in order, or a failure, after which nothing of it follows.
        Entries come in any order, and mixed.
    """
    grids, hop_s = tuple(map(grid_of, (config, *others))), config.slice.hop_s or config.slice.length_s
    requests = (
        Request(entry, all_slices, (span_of(video), grids, hop_s, indexes), video.path)
        for entry, video in enumerate(corpus.videos)
    )
    data = config.data if data is None else data
    count = min(worker_count(data.workers), len(corpus))
    for entry, kind, value, _ in read_apart(requests, count, limits_of(data)):
        if kind == "item":
            yield entry, value
        elif kind == "failed":
            yield entry, Failure(corpus.videos[entry].video_id, value)


def grid_of(config: PretrainConfig) -> Grid:
    """How a config's slices are read.

    Args:
        config: its slices, and whether its encoder has an audio branch, are used.
    """
    wanted = config.slice
    return Grid(wanted.frames, wanted.fps, picture_of(wanted), config.encoder.has_audio)


def picture_of(slices: SliceConfig) -> Picture:
    """How frames become the pictures of slices by a config.

    Args:
        slices: its ``size``, ``resize`` and ``interpolation`` are used.
    """
    return Picture(slices.size, slices.resize, slices.interpolation)


def span_of(video: Video) -> Span:
    """The file, or part of it, that a corpus entry names.

    Args:
        video: the entry; a relative path is made absolute, so that it holds in other processes.
    """
    return Span(video.path.absolute(), video.start_s, video.end_s)


def limits_of(data: DataConfig) -> Limits:
    """The limits of readers by a config.

    Args:
        data: its ``frame_s``, ``video_s`` and ``memory_mb`` are used.
    """
    return Limits(data.frame_s, data.video_s, data.memory_mb)
