"""Stopping a run between two steps."""

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

__all__ = ["StopSignal"]


class StopSignal:
    """Remembers SIGTERM and SIGINT, and knows when the time is up, so that a run stops between two steps.

    Args:
        minutes: the time that the run may take; None: any.
    """

    def __init__(self, minutes: float | None = None) -> None:
        self.has_audio = False
        self.deadline = None if minutes is None else time.monotonic() + 60 * minutes

    @property
    def asked(self) -> bool:
        """Whether to stop now."""
        return self.has_audio or (self.deadline is not None and time.monotonic() > self.deadline)

    def hear(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002
        """Note the wish to stop."""
        self.has_audio = True

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Listen within the block; outside the main thread signals are left alone."""
        try:
            before = {number: signal.signal(number, self.hear) for number in (signal.SIGTERM, signal.SIGINT)}
        except ValueError:
            before = {}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
