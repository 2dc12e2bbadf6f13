"""Stopping a run between two steps."""

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum
from types import FrameType

__all__ = ["Stop", "StopSignal"]


class Stop(IntEnum):
    """Why a run is to stop; the strongest reason of several processes counts."""

    NO = 0
    TIME = 1
    """The time limit is reached."""
    INTERRUPT = signal.SIGINT
    TERMINATE = signal.SIGTERM

    @property
    def exit_code(self) -> int:
        """Of a command that stops for this reason: 0 for a limit, 128 and the number for a signal."""
        return 0 if self in (Stop.NO, Stop.TIME) else 128 + self


class StopSignal:
    """Remembers SIGTERM, SIGINT and a time limit, so that a run stops between two steps.

    Args:
        minutes: the time that the run may take; None: no limit.
    """

    def __init__(self, minutes: float | None = None) -> None:
        self.received = Stop.NO
        self.deadline = None if minutes is None else time.monotonic() + 60 * minutes

    @property
    def asked(self) -> Stop:
        """Why to stop now, if at all."""
        if self.received is Stop.NO and self.deadline is not None and time.monotonic() > self.deadline:
            return Stop.TIME
        return self.received

    def receive(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002
        """Handle a signal, as ``signal.signal`` calls it.

        Args:
            number: SIGINT or SIGTERM.
            frame: is ignored.
        """
        self.received = Stop(number)

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Handle signals within the block; outside the main thread they are left alone."""
        try:
            before = {
                number: signal.signal(number, self.receive) for number in (signal.SIGTERM, signal.SIGINT)
            }
        except ValueError:
            before = {}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
