"""How long a film lasts and how many frames a second it has, read by a supervised reader."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from .known import KNOWN
from .readers.limits import Limits
from .readers.readers import Request, read_once

__all__ = ["FilmFacts", "film_apart"]


class FilmFacts(NamedTuple):
    """A film in numbers."""

    duration_s: float
    fps: float
    """Mean frames a second."""


def film_apart(path: Path, limits: Limits, indexes: Path | None = None) -> FilmFacts:
    """Duration and frame rate of a film.

    Args:
        path: the file.
        limits: of the reader.
        indexes: folder of the indexes of videos, which save reading the file; None: there is none.

    Raises:
        VideoError: it cannot be read.
    """
    facts: FilmFacts = read_once(Request(0, read_facts, (path.absolute(), indexes), path), limits)
    return facts


def read_facts(task: tuple[Path, Path | None]) -> Iterator[FilmFacts]:
    """What a reader does for :func:`film_apart`."""
    path, indexes = task
    KNOWN.keep_in(indexes)
    info = KNOWN.inspect(path)
    yield FilmFacts(info.duration_s, info.fps)
