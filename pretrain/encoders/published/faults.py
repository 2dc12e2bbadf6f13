"""What other libraries raise, told in one line."""

from collections.abc import Iterator
from contextlib import contextmanager

from sora_video.base.errors import SoraError

__all__ = ["one_line"]

MOST_LETTERS = 300


@contextmanager
def one_line(kind: type[SoraError], fault: str, remedy: str) -> Iterator[None]:
    """Raise in one line what another library raises, which has kinds of its own; our own errors stay.

    Args:
        kind: of the error to raise.
        fault: what cannot be done, and with what.
        remedy: what to do about it.
    """
    try:
        yield
    except SoraError:
        raise
    except Exception as error:
        line = " ".join(str(error).split())[:MOST_LETTERS] or type(error).__name__
        raise kind(f"{fault}: {line}; {remedy}") from error
