"""Filters as expressions of Milvus."""

import json
from collections.abc import Collection, Iterable
from math import isfinite

from sora_video.base.errors import LibraryError

from ..store.attributes import Value, kind_of, plain, spellings
from ..store.filters import Condition, Where
from .rows import key_of
from .state import State

__all__ = ["among", "attribute", "expression_of", "quoted", "visible"]


def quoted(text: str) -> str:
    """A text in an expression.

    Args:
        text: any.
    """
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\r", "\\r")
    return f'"{escaped}"'


def among(names: Iterable[str]) -> str:
    """The condition that a row is of one of some videos.

    Args:
        names: of videos; at least one.
    """
    return f"video_id in [{', '.join(map(quoted, sorted(names)))}]"


def visible(state: State) -> str:
    """The condition that a row is of the library as it is committed.

    Args:
        state: what is committed.
    """
    committed = f"row < {state.rows}"
    if not state.retired:
        return committed
    return f"{committed} and (row >= {state.retired_below} or not ({among(state.retired)}))"


def expression_of(state: State, exclude: Collection[str] = (), where: Where | None = None) -> str:
    """The condition that a row may be found.

    Args:
        state: what is committed.
        exclude: videos to leave out.
        where: a filter.

    Raises:
        LibraryError: the filter has a pattern that the server does not know.
    """
    parts = [visible(state)]
    if exclude:
        parts.append(f"not ({among(exclude)})")
    if where is not None:
        parts += [equal(name, value) for name, value in where.attributes.items()]
        parts += [condition_of(condition) for condition in where.conditions]
        limits = (("start_s >=", where.start_s), ("end_s <=", where.end_s))
        parts += [f"{field} {limit!r}" for field, limit in limits if isfinite(limit)]
        parts += [] if where.videos is None else [named(where.videos)]
    return " and ".join(parts)


def attribute(kind: str, name: str) -> str:
    """An attribute in an expression; see :func:`.rows.pack`.

    Args:
        kind: ``is``, ``number`` or ``text``.
        name: of the attribute.
    """
    return f'attributes["{kind}"]["{key_of(name)}"]'


def equal(name: str, value: Value) -> str:
    """The condition that an attribute has a value."""
    path = attribute("is", name)
    return f"({' or '.join(f'{path} == {quoted(text)}' for text in sorted(spellings(value)))})"


def condition_of(condition: Condition) -> str:
    """Another condition on an attribute."""
    if condition.operator == "!=":
        path = attribute("is", condition.name)
        other = " and ".join(f"{path} != {quoted(text)}" for text in sorted(spellings(condition.value)))
        return f"(not exists {path} or ({other}))"
    kind = "text" if kind_of(condition.value) == "a text" else "number"
    value = plain(condition.value)
    text = quoted(value) if isinstance(value, str) else json.dumps(value)
    return f"{attribute(kind, condition.name)} {condition.operator} {text}"


def named(videos: str | Collection[str]) -> str:
    """The condition that a video's name matches a pattern, or is one of some."""
    if isinstance(videos, str):
        return like(videos)
    return among(videos) if videos else "row < 0"


def like(glob: str) -> str:
    """The condition that a video's name matches a pattern.

    Raises:
        LibraryError: the pattern has a set of characters, or a backslash, which servers escape differently.
    """
    if "]" in glob.partition("[")[2] or "\\" in glob:
        raise LibraryError(
            f"where videos={glob}: a set of characters in [] or a backslash cannot be asked of Milvus; "
            "write * or ?"
        )
    escaped = "".join(f"\\{letter}" if letter in "%_" else letter for letter in glob)
    return f"video_id like {quoted(escaped.replace('*', '%').replace('?', '_'))}"
