"""Text for a person at a terminal."""

from rich.console import Console
from rich.markup import escape

__all__ = ["clock", "say", "warn"]

console = Console(highlight=False, soft_wrap=True)
errors = Console(stderr=True, highlight=False, soft_wrap=True)


def say(text: str) -> None:
    """Print one line on standard output.

    Args:
        text: the line, taken literally.
    """
    console.print(escape(text))


def warn(text: str) -> None:
    """Print one line of warning on standard error.

    Args:
        text: the line, taken literally.
    """
    errors.print(escape(f"warning: {text}"))


def clock(seconds: float) -> str:
    """Write seconds as minutes:seconds.tenths.

    Args:
        seconds: a time or a length, at least 0.
    """
    minutes, tenths = divmod(round(10 * seconds), 600)
    return f"{minutes}:{tenths / 10:04.1f}"
