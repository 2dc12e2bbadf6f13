"""Attributes of videos: their values, which are equal, and how they are stored."""

import json
from collections.abc import Mapping
from math import isfinite
from typing import Any

from sora_video.base.errors import LibraryError

from .video_source import attributes_alone, source_of

__all__ = [
    "WORDS",
    "Attributes",
    "Value",
    "attributes_from",
    "check_attributes",
    "kind_of",
    "parse_value",
    "plain",
    "spell",
    "spellings",
    "to_json",
]

Value = str | float | bool
"""Of an attribute; whole numbers are numbers too."""
Attributes = Mapping[str, Value]
"""Of a video, by name."""
WORDS = ("start_s", "end_s", "videos")
"""Reserved words, which are no names of attributes."""


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


def plain(value: Value) -> Value:
    """A value, or the number or truth value that a text reads as."""
    return parse_value(value) if isinstance(value, str) else value


def kind_of(value: Value) -> str:
    """What a value reads as: a number, a text or a truth value."""
    value = plain(value)
    return "a truth value" if isinstance(value, bool) else "a text" if isinstance(value, str) else "a number"


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
