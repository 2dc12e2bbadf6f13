"""Encoders that stay loaded between requests."""

import time
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

from sora_video.configs.sections import DataConfig
from sora_video.index.encoder import open_encoder
from sora_video.index.example import OpenEncoder
from sora_video.pretrain.video.readers.limits import Limits

from .refusals import BusyError

if TYPE_CHECKING:
    from sora_video.pretrain.encoders.frozen import VideoEncoder

__all__ = ["Encoders"]


class Encoders:
    """Loads each encoder once, when it is first asked for.

    Args:
        limits: what a reader may take for one of their videos, whatever their own settings say.
    """

    def __init__(self, limits: Limits) -> None:
        self.data = DataConfig(
            workers=1, frame_s=limits.frame_s, video_s=limits.video_s, memory_mb=limits.memory_mb
        )
        self.lock = Lock()
        self.loaded: dict[tuple[str, str | None], VideoEncoder] = {}

    def __call__(self, model: str | Path | None, by: str | None = None) -> "VideoEncoder":
        """The encoder of a model spec; see :func:`sora_video.index.encoder.open_encoder`."""
        key = (str(model), by)
        with self.lock:
            if key not in self.loaded:
                encoder = open_encoder(model, by)
                encoder.data = self.data
                self.loaded[key] = encoder
            return self.loaded[key]

    def within(self, seconds: float) -> OpenEncoder:
        """The encoders for one request, whose examples are embedded one by one.

        Args:
            seconds: from now, after which no further example is begun: nobody waits for the answer any more.
        """
        end_s = time.monotonic() + seconds

        def opened(model: str | Path | None, by: str | None = None) -> "VideoEncoder":
            if time.monotonic() > end_s:
                raise BusyError(f"took more than {seconds:g} s; search for fewer or shorter examples at once")
            return self(model, by)

        return opened
