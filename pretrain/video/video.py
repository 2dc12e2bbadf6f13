"""One video of a corpus, and its name."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

__all__ = ["Video", "readable"]


@dataclass(frozen=True, kw_only=True)
class Video:
    """One video, or the span of one that a manifest's row names."""

    video_id: str
    """Path relative to the corpus root, with ``/``."""
    path: Path
    start_s: float = 0.0
    end_s: float | None = None
    """None: to the video's end."""
    columns: Mapping[str, str] = field(default_factory=dict)
    """The manifest's other columns: label, group, split and any more; empty cells are left out."""


def readable(path: Path) -> str:
    """A path as text that can be printed and stored, also where its bytes are not UTF-8.

    Args:
        path: any.
    """
    return os.fsencode(path.as_posix()).decode("utf-8", "backslashreplace")
