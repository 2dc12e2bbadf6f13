"""What an index must reach, and how it is written on a command line."""

import re
from dataclasses import dataclass

from sora_video.base.errors import ConfigError

from ..store.kinds import INDEXES

__all__ = ["K", "Target", "parse_bytes", "parse_index", "parse_ms"]

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
    index: str | None = None
    """The only kind to build, and sizes of it that differ from the usual, as ``OPQ-IVF-PQ lists=4096``; None:
    all kinds are tried."""

    def __post_init__(self) -> None:
        if not 0 < self.recall <= 1:
            raise ConfigError(f"recall={self.recall}: must be above 0 and at most 1")
        for name, value in (("memory", self.memory), ("latency", self.latency_ms)):
            if value is not None and value <= 0:
                raise ConfigError(f"{name}={value}: must be above 0")
        if self.index is not None:
            parse_index(self.index)

    def __str__(self) -> str:
        parts = [f"recall@{K} {self.recall:g}"]
        parts += [f"{self.memory / 1e6:g} MB"] if self.memory else []
        parts += [f"{self.latency_ms:g} ms a query"] if self.latency_ms else []
        return ", ".join(parts)


def parse_index(text: str) -> tuple[str, dict[str, int]]:
    """A kind of index and its sizes.

    Args:
        text: a name of :data:`.store.kinds.INDEXES`, and sizes such as ``lists=4096``.

    Raises:
        ConfigError: there is no such kind, or it does not have such a size.
    """
    name, *sizes = text.split() or [""]
    pairs = [size.partition("=") for size in sizes]
    known = INDEXES.load(name).settings.model_fields.keys() - {"name"}
    for key, _, value in pairs:
        if key not in known or not value.isdecimal() or not int(value):
            has = " and ".join(f"{known_key}=N" for known_key in sorted(known)) or "no sizes"
            raise ConfigError(f"index={text}: {key}={value} is no size of {name}, which has {has}")
    return name, {key: int(value) for key, _, value in pairs}


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
