"""What a reader may take."""

from dataclasses import dataclass
from pathlib import Path

from sora_video.base.errors import ConfigError

__all__ = ["Limits"]

LEAST_S = 600.0
"""Seconds that any file may take."""
S_PER_MB = 10.0
"""Further seconds for each megabyte."""
LEAST_MB = 64
"""No reader does with so little memory."""


@dataclass(frozen=True)
class Limits:
    """Limits of time and memory for reading one file.

    Raises:
        ConfigError: one of them is out of range.
    """

    frame_s: float = 60.0
    """Most seconds without another frame."""
    video_s: float | None = None
    """Most seconds for a file; None: ten minutes, and ten seconds more for each megabyte."""
    memory_mb: int = 2048
    """Most memory in MB beyond what a reader takes when it starts."""

    def __post_init__(self) -> None:
        for name, value in (("frame_s", self.frame_s), ("video_s", self.video_s)):
            if value is not None and not value > 0:
                raise ConfigError(f"{name}={value:g}: must be more than 0 seconds")
        if self.memory_mb < LEAST_MB:
            raise ConfigError(f"memory_mb={self.memory_mb}: must be at least {LEAST_MB}")

    def seconds(self, path: Path) -> float:
        """Most seconds for this file."""
        if self.video_s is not None:
            return self.video_s
        try:
            return LEAST_S + S_PER_MB * path.stat().st_size / 2**20
        except OSError:
            return LEAST_S  # the reader says what is wrong with it
