"""Which slices a search may find: by attributes of their videos, by name, by time."""

import json
import operator
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from math import inf
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sora_video.base.errors import LibraryError

from .attributes import Attributes, Value, kind_of, plain, spell, spellings

__all__ = ["Condition", "Where", "check_order", "pairs"]

ORDERS: dict[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
DATE = re.compile(r"\d{4}-\d\d(-\d\d.*)?", re.ASCII | re.DOTALL)
DATES = "; dates are in order as 2026-01-31"


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
