"""Which slices a search may find: by attributes of their videos, by name, by time."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from math import inf, isfinite
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sora_video.base.errors import LibraryError

from .video_source import attributes_alone, source_of

__all__ = [
    "Attributes",
    "Value",
    "Where",
    "attributes_from",
    "check_attributes",
    "parse_value",
    "parse_where",
    "spell",
]

Value = str | float | bool
"""Of an attribute; whole numbers are numbers too."""
Attributes = Mapping[str, Value]
"""Of a video, by name."""
WORDS = ("start_s", "end_s", "videos")
"""Reserved words, which are no names of attributes."""


@dataclass(frozen=True, kw_only=True)
class Where:
    """A filter; all that it names must hold."""

    attributes: Attributes = field(default_factory=dict)
    """Each must have this value. A text is equal to the number or truth value that it reads as."""
    start_s: float = -inf
    """Slices do not start before this time of their video."""
    end_s: float = inf
    """Slices do not end after this time of their video."""
    videos: str | None = None
    """A glob that the video's name has to match, as ``holiday/*``; ``*`` matches ``/`` too."""

    def takes(self, attributes: Attributes) -> bool:
        """Whether the attributes of a video pass; its name and times are not looked at.

        Args:
            attributes: of the video.
        """
        return all(
            name in attributes and spell(attributes[name]) in spellings(value)
            for name, value in self.attributes.items()
        )

    def within(self, start_s: NDArray[np.float64], end_s: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Which slices lie between ``start_s`` and ``end_s``.

        Args:
            start_s: (N,) starts of slices in seconds.
            end_s: (N,) ends of slices in seconds.

        Returns:
            (N,) mask.
        """
        inside: NDArray[np.bool_] = (start_s >= self.start_s) & (end_s <= self.end_s)
        return inside

    def names(self, video_id: str) -> bool:
        """Whether the name of a video passes.

        Args:
            video_id: the name.
        """
        return self.videos is None or fnmatchcase(video_id, self.videos)


def spell(value: Value) -> str:
    """An attribute's value as JSON, the same for equal numbers.

    Args:
        value: of an attribute.
    """
    whole = isinstance(value, float) and value.is_integer()
    return json.dumps(int(value) if whole else value)


def spellings(value: Value) -> set[str]:
    """All that counts as equal to a value."""
    text = value if isinstance(value, str) else spell(value)
    return {spell(value), spell(text), spell(parse_value(text))}


def parse_value(text: str) -> Value:
    """The number or truth value that a text is the plain form of, else the text: ``007`` stays a text.

    Args:
        text: for instance ``"3"``, ``"0.5"`` or ``"true"``.
    """
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return text
    plain = isinstance(value, bool | int | float) and json.dumps(value) == text
    return value if plain and isfinite(value) else text


def parse_where(words: Iterable[str]) -> Where:
    """A filter from ``NAME=VALUE`` words of the command line.

    Args:
        words: attributes, and ``start_s``, ``end_s`` and ``videos`` for the other fields of :class:`Where`.

    Raises:
        LibraryError: a word has another form.
    """
    attributes: dict[str, Value] = {}
    fields: dict[str, Any] = {}
    for word in words:
        name, equals, text = word.partition("=")
        value = parse_value(text)
        if not name or not equals:
            raise LibraryError(
                f"where {word!r}: does not have the form NAME=VALUE; write for instance camera=3"
            )
        if name in ("start_s", "end_s") and (isinstance(value, str | bool)):
            raise LibraryError(f"where {word!r}: {text!r} is not a number of seconds; fix it")
        if name in WORDS:
            fields[name] = text if name == "videos" else value
        else:
            attributes[name] = value
    return Where(attributes=attributes, **fields)


def check_attributes(video_id: str, attributes: Mapping[str, Any]) -> None:
    """Refuse attributes that a library cannot keep.

    Args:
        video_id: the video, for the message.
        attributes: to check, by name.

    Raises:
        LibraryError: a name is empty or reserved, or a value is not a text, finite number or truth value.
    """
    for name, value in attributes.items():
        if not isinstance(name, str) or not name or "=" in name or name in WORDS:
            raise LibraryError(
                f"video {video_id}: attribute {name!r}: is not a valid name; use a text other than "
                f"{', '.join(WORDS)}, without '='"
            )
        if not isinstance(value, str | bool | int | float) or (
            not isinstance(value, str) and not isfinite(value)
        ):
            raise LibraryError(
                f"video {video_id}: attribute {name}={value!r}: must be text, a finite number, true or false"
            )


def attributes_from(text: str | bytes) -> dict[str, Value]:
    """The attributes of a video, with its source, from their JSON.

    Args:
        text: JSON.

    Raises:
        ValueError: it is not JSON, or not flat attributes.
    """
    try:
        attributes = json.loads(text)
    except RecursionError as error:
        raise ValueError("attributes are nested") from error
    if not isinstance(attributes, dict):
        raise ValueError(f"attributes are {type(attributes).__name__}")
    try:
        source_of(attributes)
        check_attributes("", attributes_alone(attributes))
    except LibraryError as error:
        raise ValueError(str(error)) from error
    return attributes


def to_json(attributes: Attributes) -> str:
    """Attributes as they are stored: flat JSON without spaces, equal for equal attributes."""
    pairs = (f"{json.dumps(name)}:{spell(value)}" for name, value in sorted(attributes.items()))
    return "{" + ",".join(pairs) + "}"


def pairs(where: Where) -> list[list[str]]:
    """What the text within the braces of :func:`to_json`, put between commas, must hold: one of each list."""
    return [
        [f",{json.dumps(name)}:{spelling}," for spelling in sorted(spellings(value))]
        for name, value in where.attributes.items()
    ]
