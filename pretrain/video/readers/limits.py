"""What a reader may take."""

from dataclasses import dataclass
from pathlib import Path

__all__ = ["Limits"]

LEAST_S = 600.0
"""Seconds that any file may take."""
S_PER_MB = 10.0
"""Further seconds for each megabyte."""


@dataclass(frozen=True)
class Limits:
    """Limits of time and memory for reading one file."""

    frame_s: float = 60.0
    """Most seconds without another frame."""
    video_s: float | None = None
    """Most seconds for a file; None: ten minutes, and ten seconds more for each megabyte."""
    memory_mb: int = 2048
    """Most memory in MB beyond what a reader takes when it starts."""

    def seconds(self, path: Path) -> float:
        """Most seconds for this file."""
        if self.video_s is not None:
            return self.video_s
        try:
            return LEAST_S + S_PER_MB * path.stat().st_size / 2**20
        except OSError:
            return LEAST_S  # the reader says what is wrong with it
