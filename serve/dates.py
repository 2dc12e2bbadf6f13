"""How many videos there are by date, of attributes that hold dates."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from sora_video.index.info import VideoInfo

__all__ = ["DateBin", "dates_of"]

DATE = re.compile(r"(?P<month>\d{4}-(0[1-9]|1[0-2]))(?P<day>-(0[1-9]|[12]\d|3[01]))?([T ].*)?", re.ASCII)
"""A date of ISO 8601, at least a month; a time may follow a day."""
MOST = {"D": 62, "M": 120}
"""Bins of a unit at most; where there were more, the next longer unit is taken, and years at last."""


@dataclass(frozen=True)
class DateBin:
    """A day, a month or a year; as filters, ``NAME>=start`` and ``NAME<end``."""

    start: str
    end: str
    """The start of the next one."""
    count: int
    """Videos of that time."""


def dates_of(videos: Iterable[VideoInfo]) -> dict[str, list[DateBin]]:
    """Videos by date.

    Args:
        videos: to count.

    Returns:
        By attribute whose values are all dates, the bins from the first that has a video to the last.
    """
    counts: dict[str, Counter[str]] = {}
    others: set[str] = set()
    for video in videos:
        for name, value in video.attributes.items():
            if name in others:
                continue
            found = DATE.fullmatch(value) if isinstance(value, str) else None
            if found is None:
                others.add(name)
                counts.pop(name, None)
            else:
                counts.setdefault(name, Counter())[found["month"] + (found["day"] or "")] += 1
    return {name: bins for name in sorted(counts) if (bins := bins_of(counts[name]))}


def bins_of(counts: Counter[str]) -> list[DateBin]:
    """Bins of days where these are known and few, else of months, else of years; none where a day is none."""
    try:
        moments = np.array(list(counts), "datetime64[D]")
    except ValueError:  # such as 31 February
        return []
    numbers = np.array(list(counts.values()))
    for unit in units(counts):
        first, last = moments.min().astype(f"datetime64[{unit}]"), moments.max().astype(f"datetime64[{unit}]")
        edges = np.arange(first, last + 2)
        if len(edges) - 1 <= MOST.get(unit, len(edges)):
            break
    sums = np.bincount((moments.astype(f"datetime64[{unit}]") - first).astype(int), numbers, len(edges) - 1)
    words = [str(edge) if unit != "Y" else f"{edge}-01" for edge in edges]  # a bare year would be a number
    return [DateBin(*pair, int(count)) for pair, count in zip(pairwise(words), sums, strict=True)]


def units(counts: Counter[str]) -> Iterator[str]:
    """Units that all dates have, the shortest first."""
    if all(len(date) > len("2026-01") for date in counts):
        yield "D"
    yield from "MY"
