"""The decoded frames that a run keeps on disk while it lasts."""

import shutil
from pathlib import Path

from sora_video.base import console
from sora_video.configs.schema import PretrainConfig
from sora_video.pretrain.video.cache import FrameCache, frames_budget
from sora_video.pretrain.video.corpus import Corpus
from sora_video.pretrain.video.read import picture_of

from .folder import Run

__all__ = ["drop_frames", "frame_cache"]

TOLD_BYTES = 10**6
"""Of deleted frames, from which on a line says so."""


def frame_cache(run: Path, config: PretrainConfig, corpus: Corpus) -> FrameCache:
    """Where a run keeps frames, in proportion to the corpus; kept features alone may use all of the budget.

    Args:
        run: its folder.
        config: its settings.
        corpus: its videos.
    """
    budget = int(config.data.cache_gb * 1e9)
    if not config.augment.kept_views:
        budget = frames_budget((video.path for video in corpus.videos), budget)
    return FrameCache(run.absolute() / "cache", budget, picture_of(config.slice))


def drop_frames(run: Run, cache: FrameCache) -> None:
    """Delete the frames, and all of the cache of a finished run, unless ``data.keep_cache`` keeps them.

    A line on standard error says how much they took. The features that a stopped run kept stay.

    Args:
        run: that has ended, or was stopped.
        cache: its frames.
    """
    if run.config.data.keep_cache:
        return
    freed = cache.drop_frames()
    if run.finished:
        shutil.rmtree(cache.folder, ignore_errors=True)
    if freed >= TOLD_BYTES:
        told = f"{cache.folder}: {freed / 1e6:.0f} MB of decoded frames were deleted"
        console.note(f"{told}; data.keep_cache=true keeps them")
