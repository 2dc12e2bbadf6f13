"""Self-contained HTML pages, and strips of frames to show on them."""

import base64
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined, select_autoescape
from PIL import Image

from sora_video.configs.storage import write_text

from .decode import open_video
from .probe import probe
from .slices import frames_at

__all__ = ["Strip", "frame_strip", "write_page"]

STRIP_HEIGHT = 72


@dataclass(frozen=True)
class Strip:
    """Frames of a span with their caption."""

    image: str
    """Data URI; empty where there is no picture."""
    title: str
    note: str
    """Time span, score."""
    good: bool = True
    """Whether it shows what was asked for."""


def frame_strip(path: Path, start_s: float, end_s: float, count: int = 6) -> str:
    """Frames of a span side by side, as a JPEG data URI.

    Args:
        path: the video.
        start_s: begin of the span in seconds.
        end_s: end of the span in seconds.
        count: frames to show.

    Raises:
        VideoError: the video cannot be read.
    """
    info = probe(path)
    width = max(32, round(STRIP_HEIGHT * info.width / info.height / 4) * 4)
    video = open_video(path, (STRIP_HEIGHT, width))
    moments = start_s + (np.arange(count) + 0.5) * (end_s - start_s) / count
    frames = video.frames(frames_at(video.times, moments))
    buffer = BytesIO()
    Image.fromarray(np.concatenate(list(frames), axis=1)).save(buffer, "JPEG", quality=82)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()


def write_page(path: Path, package: str, template: str, **content: Any) -> None:
    """Write one self-contained HTML file.

    Args:
        path: the file.
        package: where the template lies; it may extend and import those beside this module.
        template: its name.
        content: what it shows.
    """
    packages = (package, "sora_video.pretrain")
    environment = Environment(
        loader=ChoiceLoader([PackageLoader(name, ".") for name in packages]),
        autoescape=select_autoescape(),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    write_text(path, environment.get_template(template).render(content))
