"""Filters in words, as the command line and the HTTP API take them."""

import re
from collections.abc import Iterable
from typing import Any

from sora_video.base.errors import LibraryError
from sora_video.base.times import parse_time

from .attributes import WORDS, Value, parse_value
from .filters import Condition, Where

__all__ = ["parse_where"]

MISTYPED = re.compile(r"=|[<>]=?\s*[\d.]")
"""How a value starts that is part of an operator, as in ``camera==2`` or ``camera=>2``."""
WORD = re.compile(r"\s*(?P<name>[^=<>!]*[^=<>!\s])\s*(?P<operator>[<>]=?|!?=)\s*(?P<text>.*?)\s*", re.DOTALL)


def parse_where(words: Iterable[str]) -> Where:
    """A filter from words of the command line such as ``camera=3`` or ``date<2026-01-01``.

    Args:
        words: a name, ``=``, ``!=``, ``<``, ``<=``, ``>`` or ``>=``, and a value; with ``=`` also
            ``start_s``, ``end_s`` and ``videos`` for the other fields of :class:`Where`.

    Raises:
        LibraryError: a word has another form.
    """
    attributes: dict[str, Value] = {}
    fields: dict[str, Any] = {}
    conditions: list[Condition] = []
    for word in words:
        parts = WORD.fullmatch(word)
        if not parts:
            raise LibraryError(
                f"where {word!r}: does not have the form NAME=VALUE; write for instance camera=3 or camera>2"
            )
        name, relation, text = parts.groups()
        if name in WORDS:
            fields[name] = parse_field(word, name, relation, text)
        elif relation == "=" and MISTYPED.match(text):
            right = name + text[0].replace("=", "") + "=" + text[1:].lstrip("= ")
            raise LibraryError(f"where {word!r}: is no comparison; write {right}")
        elif relation == "=":
            attributes[name] = parse_value(text)
        else:
            conditions.append(Condition(name, relation, parse_value(text)))
    return Where(attributes=attributes, conditions=tuple(conditions), **fields)


def parse_field(word: str, name: str, relation: str, text: str) -> str | float:
    """A word for a field of :class:`Where` other than attributes."""
    if relation != "=":
        raise LibraryError(f"where {word!r}: {name} takes = alone; write {name}={text}")
    if name == "videos":
        return text
    try:
        return parse_time(text)
    except ValueError as error:
        raise LibraryError(f"where {word!r}: {error}") from None
