"""What a command says after Ctrl-C."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from sora_video.base.errors import Stopped
from sora_video.base.processes import sigterm_interrupts, stop_code

__all__ = ["stopping"]


@contextmanager
def stopping(kept: Callable[[], str]) -> Iterator[None]:
    """Let Ctrl-C and SIGTERM stop the block, and say in a line what is kept.

    Args:
        kept: gives the line, after the block has put its things in order.

    Raises:
        Stopped: the block was stopped.
    """
    try:
        with sigterm_interrupts():
            yield
    except Stopped as stop:  # of a step of the block, which says what to do with that step alone
        raise Stopped(f"stopped; {kept()}", stop.exit_code) from None
    except KeyboardInterrupt as stop:
        raise Stopped(f"stopped; {kept()}", stop_code(stop)) from None
