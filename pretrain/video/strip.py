"""Self-contained HTML pages, and strips of frames to show on them."""

import base64
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

from .pictures import pictures_at

__all__ = ["frame_strip"]

STRIP_HEIGHT = 72


def frame_strip(path: Path, start_s: float, end_s: float, count: int = 6, indexes: Path | None = None) -> str:
    """Frames of a span side by side, as a JPEG data URI.

    Args:
        path: the video.
        start_s: start of the span in seconds.
        end_s: end of the span in seconds.
        count: frames to show.
        indexes: folder to keep the video's index in; None: nowhere.

    Raises:
        VideoError: the video cannot be read.
    """
    moments = start_s + (np.arange(count) + 0.5) * (end_s - start_s) / count
    frames = pictures_at(path, STRIP_HEIGHT, moments, indexes)
    buffer = BytesIO()
    Image.fromarray(np.concatenate(list(frames), axis=1)).save(buffer, "JPEG", quality=82)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()
