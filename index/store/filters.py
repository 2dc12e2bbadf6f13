"""Which slices a search may find: by attributes of their videos, by name, by time."""

import json
import operator
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from math import inf, isfinite
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sora_video.base.errors import LibraryError
from sora_video.base.times import parse_time

from .video_source import attributes_alone, source_of

__all__ = [
    "Attributes",
    "Condition",
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
ORDERS: dict[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
DATE = re.compile(r"\d{4}-\d\d(-\d\d.*)?", re.ASCII | re.DOTALL)
DATES = "; dates are in order as 2026-01-31"
MISTYPED = re.compile(r"=|[<>]=?\s*[\d.]")
"""How a value starts that is part of an operator, as in ``camera==2`` or ``camera=>2``."""
WORD = re.compile(r"\s*(?P<name>[^=<>!]*[^=<>!\s])\s*(?P<operator>[<>]=?|!?=)\s*(?P<text>.*?)\s*", re.DOTALL)


@dataclass(frozen=True)
class Condition:
    """What an attribute must be.

    Args:
        name: of the attribute.
        operator: ``!=``, ``<``, ``<=``, ``>`` or ``>=``.
        value: to compare with. Numbers are ordered as numbers, texts by their letters, so that dates are in
            order when they are written as 2026-01-31.

    Raises:
        LibraryError: the operator is another one, or orders truth values.
    """

    name: str
    operator: str
    value: Value

    def __post_init__(self) -> None:
        if self.operator not in ("!=", *ORDERS):
            raise LibraryError(f"where {self}: {self.operator!r} is none of !=, {', '.join(ORDERS)}")
        if self.operator in ORDERS and isinstance(plain(self.value), bool):
            raise LibraryError(f"where {self}: true and false have no order; write = or !=")

    def __str__(self) -> str:
        value = self.value if isinstance(self.value, str) else spell(self.value)
        return f"{self.name}{self.operator}{value}"

    def takes(self, attributes: Attributes) -> bool:
        """Whether a video's attributes pass: with ``!=`` also where there is none of the name, else not.

        Args:
            attributes: of the video.
        """
        if self.name not in attributes:
            return self.operator == "!="
        value = attributes[self.name]
        if self.operator == "!=":
            return spell(value) not in spellings(self.value)
        return self.compares(value) and ORDERS[self.operator](plain(value), plain(self.value))

    def compares(self, value: Value) -> bool:
        """Whether a value is in order with that of the condition: both numbers, or both texts.

        Args:
            value: of an attribute.
        """
        return kind_of(value) == kind_of(self.value)


@dataclass(frozen=True, kw_only=True)
class Where:
    """A filter; all that it names must hold."""

    attributes: Attributes = field(default_factory=dict)
    """Each must have this value. A text is equal to the number or truth value that it reads as."""
    conditions: tuple[Condition, ...] = ()
    """What attributes must be besides."""
    start_s: float = -inf
    """Slices do not start before this time of their video."""
    end_s: float = inf
    """Slices do not end after this time of their video."""
    videos: str | frozenset[str] | None = None
    """A glob that the video's name has to match, as ``holiday/*``, where ``*`` matches ``/`` too; or names,
    of which it has to be one."""

    def takes(self, attributes: Attributes) -> bool:
        """Whether the attributes of a video pass; its name and times are not looked at.

        Args:
            attributes: of the video.
        """
        return all(
            name in attributes and spell(attributes[name]) in spellings(value)
            for name, value in self.attributes.items()
        ) and all(condition.takes(attributes) for condition in self.conditions)

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
        if isinstance(self.videos, str):
            return fnmatchcase(video_id, self.videos)
        return self.videos is None or video_id in self.videos


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


def told(value: Value) -> str:
    """What a value reads as, dates told from other texts, since these have no order in time."""
    return "a date" if isinstance(value, str) and DATE.fullmatch(value) else kind_of(value)


def check_order(where: Where, values: Callable[[str], Iterable[tuple[str, Value]]]) -> None:
    """Refuse a condition that orders unlike things.

    Args:
        where: a filter.
        values: gives videos that have an attribute of a name, with its value.

    Raises:
        LibraryError: no value of an attribute can be compared with the one that a condition names.
    """
    for condition in where.conditions:
        if condition.operator in ORDERS:
            unlike = None
            for unlike in values(condition.name):
                if told(unlike[1]) == told(condition.value):
                    break
            else:
                if unlike:
                    both = (unlike[1], condition.value)
                    raise LibraryError(
                        f"where {condition}: {condition.value!r} is {told(condition.value)}, but "
                        f"{condition.name} is {told(unlike[1])} ({unlike[1]!r} of {unlike[0]}); compare it "
                        f"with one, or write != or ={DATES if 'a date' in map(told, both) else ''}"
                    )


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


def pairs(where: Where) -> list[tuple[bool, list[str]]]:
    """What the text within the braces of :func:`to_json`, put between commas, must hold, or must not.

    Args:
        where: a filter.

    Returns:
        Texts of which one must be there where the truth value is true, and none where it is false.
    """
    same = [(True, name, value) for name, value in where.attributes.items()]
    other = [(False, one.name, one.value) for one in where.conditions if one.operator == "!="]
    return [
        (held, [f",{json.dumps(name)}:{spelling}," for spelling in sorted(spellings(value))])
        for held, name, value in (*same, *other)
    ]
