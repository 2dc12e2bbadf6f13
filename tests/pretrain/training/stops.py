"""Runs that are stopped wherever they can be."""

from pathlib import Path

from sora_video.base.errors import Stopped
from sora_video.configs.schema import PretrainConfig
from sora_video.pretrain.training.loop import pretrain_encoder
from sora_video.pretrain.training.run.folder import Run
from sora_video.pretrain.video.corpus import Source

__all__ = ["finish_stepwise"]


def finish_stepwise(
    source: Source, out: Path, config: PretrainConfig | None, *, resume: bool = False
) -> tuple[Run, int]:
    """Train with a stop after each step, each time continued by a new call.

    Args:
        source: the videos.
        out: the run's folder.
        config: all settings; None: those of the run that is continued.
        resume: whether the run has been started before.

    Returns:
        The finished run, and how often it was stopped.
    """
    stops = 0
    while True:
        try:
            return pretrain_encoder(source, out, config, resume=resume, max_minutes=0), stops
        except Stopped:
            resume, stops = True, stops + 1
