"""Self-contained HTML pages, and strips of frames to show on them."""

import base64
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

from .decode import open_video
from .inspect import inspect
from .slices import frames_at

__all__ = ["frame_strip"]

STRIP_HEIGHT = 72


def frame_strip(path: Path, start_s: float, end_s: float, count: int = 6) -> str:
    """Frames of a span side by side, as a JPEG data URI.

    Args:
        path: the video.
        start_s: start of the span in seconds.
        end_s: end of the span in seconds.
        count: frames to show.

    Raises:
        VideoError: the video cannot be read.
    """
    info = inspect(path)
    width = max(32, round(STRIP_HEIGHT * info.width / info.height / 4) * 4)
    video = open_video(path, (STRIP_HEIGHT, width))
    moments = start_s + (np.arange(count) + 0.5) * (end_s - start_s) / count
    frames = video.frames(frames_at(video.times, moments))
    buffer = BytesIO()
    Image.fromarray(np.concatenate(list(frames), axis=1)).save(buffer, "JPEG", quality=82)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()
