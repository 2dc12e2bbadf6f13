"""Times of a video as people write and read them: 75, 1:15 or 0:01:15, with fractions."""

import re

__all__ = ["FORMS", "clock", "parse_time"]

FORMS = "75, 1:15 or 0:01:15"
"""The ways to write a time, for messages."""
CLOCK = re.compile(r"(?:(?P<hours>\d+):(?=\d\d:))?(?P<minutes>\d+):(?P<seconds>\d\d(?:\.\d*)?)", re.ASCII)
NUMBER = re.compile(r"(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?", re.ASCII | re.IGNORECASE)


def parse_time(text: str) -> float:
    """Read a time of a video.

    Args:
        text: seconds (``75``, ``75.5``), minutes and seconds (``1:15``, ``90:00``), or hours, minutes and
            seconds (``0:01:15.5``).

    Returns:
        Seconds, at least 0.

    Raises:
        ValueError: it is none of these.
    """
    text = text.strip()
    if NUMBER.fullmatch(text) and float(text) < float("inf"):
        return float(text)
    parts = CLOCK.fullmatch(text)
    if parts is None:
        raise ValueError(f"{text!r} is not a time; write {FORMS}")
    hours, minutes, seconds = int(parts["hours"] or 0), int(parts["minutes"]), float(parts["seconds"])
    if seconds >= 60 or (parts["hours"] and minutes >= 60):
        raise ValueError(f"{text!r} is not a time, since after a colon 59 is the most; write {FORMS}")
    return 3600 * hours + 60 * minutes + seconds


def clock(seconds: float, decimals: int = 1) -> str:
    """Write a time of a video, as :func:`parse_time` reads it: ``0:07.5``, ``1:15.0`` or ``1:01:15.0``.

    Args:
        seconds: a time or a length.
        decimals: digits of the seconds' fraction, at least 1.
    """
    parts = 10**decimals
    minutes, rest = divmod(round(parts * abs(seconds)), 60 * parts)
    hours, minutes = divmod(minutes, 60)
    tail = f"{rest / parts:0{3 + decimals}.{decimals}f}"
    sign = "-" if seconds < 0 and (hours or minutes or rest) else ""
    return f"{sign}{hours}:{minutes:02}:{tail}" if hours else f"{sign}{minutes}:{tail}"
