"""What an index must reach, and how it is written on a command line."""

import re
from dataclasses import dataclass

from sora_video.base.errors import ConfigError

__all__ = ["K", "Target", "parse_bytes", "parse_ms"]

K = 10
"""Nearest slices that recall is measured on."""
UNITS = {"": 1, "k": 1e3, "m": 1e6, "g": 1e9, "t": 1e12, "ki": 2**10, "mi": 2**20, "gi": 2**30, "ti": 2**40}


@dataclass(frozen=True, kw_only=True)
class Target:
    """What an index must reach."""

    recall: float = 0.95
    """Recall@10."""
    memory: int | None = None
    """Most bytes that search keeps in memory; None: any."""
    latency_ms: float | None = None
    """Most milliseconds of a query; None: any."""
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 < self.recall <= 1:
            raise ConfigError(f"recall={self.recall}: must be above 0 and at most 1")
        for name, value in (("memory", self.memory), ("latency", self.latency_ms)):
            if value is not None and value <= 0:
                raise ConfigError(f"{name}={value}: must be above 0")

    def __str__(self) -> str:
        parts = [f"recall@{K} {self.recall:g}"]
        parts += [f"{self.memory / 1e6:g} MB"] if self.memory else []
        parts += [f"{self.latency_ms:g} ms a query"] if self.latency_ms else []
        return ", ".join(parts)


def parse_bytes(text: str) -> int:
    """Bytes of a size such as ``2GB``, ``500 MB`` or ``1.5GiB``.

    Args:
        text: a number and a unit.

    Raises:
        ConfigError: the text is not a size.
    """
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([kmgt]i?|)b?\s*", text.lower())
    if not match:
        raise ConfigError(f"memory={text}: is not a size; write it as 2GB or 500MB")
    return int(float(match[1]) * UNITS[match[2]])


def parse_ms(text: str) -> float:
    """Milliseconds of a time such as ``10ms`` or ``0.5s``.

    Args:
        text: a number and a unit.

    Raises:
        ConfigError: the text is not a time.
    """
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(ms|s)\s*", text.lower())
    if not match:
        raise ConfigError(f"latency={text}: is not a time; write it as 10ms or 0.5s")
    return float(match[1]) * (1000 if match[2] == "s" else 1)
