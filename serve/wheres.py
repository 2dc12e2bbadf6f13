"""Filters of requests: those of `sora search --where`, and regions of the library's map."""

import re
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from sora_video.base.errors import ConfigError
from sora_video.index.map import LibraryMap
from sora_video.index.store.filter_words import parse_where
from sora_video.index.store.filters import Where

from .maps import Maps

__all__ = ["where_of"]

REGION = re.compile(r"\s*within\s*=(?P<text>.*)", re.DOTALL)
FORM = "ID:X,Y,X,Y,X,Y, a map's id and three corners or more"
MOST_CORNERS = 500


def where_of(words: Sequence[str], maps: Maps) -> Where | None:
    """The filter of a request; None where it has none.

    Args:
        words: as of `sora search --where`; ``within=ID:X,Y,X,Y,X,Y`` lets the videos pass that lie in a
            polygon on the map of this id.
        maps: of the server.

    Raises:
        ConfigError: a region has another form, or is of an earlier map.
        LibraryError: another word has another form.
    """
    if not words:
        return None
    regions = [found["text"] for word in words if (found := REGION.fullmatch(word))]
    where = parse_where([word for word in words if not REGION.fullmatch(word)])
    if not regions:
        return where
    within = [names_within(region, maps) for region in regions]
    names = {name for name in frozenset.intersection(*within) if where.names(name)}
    return replace(where, videos=frozenset(names))


def names_within(region: str, maps: Maps) -> frozenset[str]:
    """The videos in a region."""
    map_id, _, numbers = region.strip().partition(":")
    corners, drawn = corners_of(numbers), maps.now()
    if drawn is None or drawn.map_id != map_id:
        raise ConfigError("within: the map was drawn anew since; choose on it again")
    return frozenset(np.array(drawn.video_ids, object)[inside(drawn, corners)].tolist())


def corners_of(text: str) -> NDArray[np.float64]:
    """(N, 2) corners of a polygon."""
    try:
        numbers = np.array([float(number) for number in text.split(",")])
    except ValueError as error:
        raise ConfigError(f"within: {error}; write {FORM}") from error
    if (
        len(numbers) < 6
        or len(numbers) % 2
        or len(numbers) > 2 * MOST_CORNERS
        or not np.isfinite(numbers).all()
    ):
        raise ConfigError(f"within: {len(numbers)} numbers; write {FORM}, at most {MOST_CORNERS}")
    return numbers.reshape(-1, 2)


def inside(drawn: LibraryMap, corners: NDArray[np.float64]) -> NDArray[np.bool_]:
    """(V,) which videos lie in a polygon; where it crosses itself, by the even-odd rule."""
    from matplotlib.path import Path

    found: NDArray[np.bool_] = Path(corners).contains_points(drawn.places)
    return found
