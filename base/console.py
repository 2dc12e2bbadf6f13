"""Text for a person at a terminal."""

import codecs
import json
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from io import TextIOWrapper
from typing import Any

from rich.console import Console
from rich.text import Text

from .plain import plain

__all__ = ["heard", "json_text", "note", "printable", "say", "spell_unknown_characters", "warn"]

UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
"""Control characters, those that turn the direction of text, and halves of characters."""

console = Console(highlight=False, soft_wrap=True)
listeners: list[list[str]] = []
"""Lists of warnings that :func:`heard` fills."""


def spell_unknown_characters() -> None:
    """Let standard output spell characters that its encoding lacks as JSON does, without an error."""
    codecs.register_error("sora.json", spelt)
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="sora.json")


def spelt(error: UnicodeError) -> tuple[str, int]:
    """Characters that cannot be encoded as JSON spells them, and where to go on behind them."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return json.dumps(error.object[error.start : error.end])[1:-1], error.end


def say(text: str) -> None:
    """Print one line on standard output.

    Args:
        text: the line, taken literally.
    """
    console.print(Text(printable(text)))


def note(text: str) -> None:
    """Print one line on standard error, which is no result: what is going on, or what went wrong.

    Args:
        text: the line, taken literally.
    """
    print(printable(text), file=sys.stderr)  # rich sets it above a bar that is shown


def warn(text: str) -> None:
    """Print one line of warning on standard error.

    Args:
        text: the line, taken literally.
    """
    for lines in listeners:
        lines.append(printable(text))
    note(f"warning: {text}")


@contextmanager
def heard() -> Iterator[list[str]]:
    """Keep the warnings that are printed meanwhile, for the page that a command writes.

    Returns:
        A list that grows.
    """
    lines: list[str] = []
    listeners.append(lines)
    try:
        yield lines
    finally:
        listeners.pop()


def printable(text: str) -> str:
    r"""Text that leaves a terminal as it is: names of files may hold what moves its cursor or hides lines.

    Args:
        text: one line.

    Returns:
        The line, with control characters spelt as Python does, such as ``\x1b``.
    """
    return UNPRINTABLE.sub(lambda match: match[0].encode("unicode_escape").decode(), text)


def json_text(value: Any, indent: int | None = None) -> str:
    """A value as JSON that leaves a terminal as it is.

    Args:
        value: what :func:`.plain.plain` takes.
        indent: spaces of each level; None: one line.
    """
    lines = json.dumps(plain(value), indent=indent, ensure_ascii=False).split("\n")  # none lies within a text
    return "\n".join(UNPRINTABLE.sub(lambda match: f"\\u{ord(match[0]):04x}", line) for line in lines)
