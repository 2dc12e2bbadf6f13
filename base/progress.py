"""Progress: a bar on a terminal, and a few plain lines elsewhere, as in the log of a job."""

import sys
import time
from datetime import datetime, timedelta
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Column

__all__ = ["Bar", "Lines"]

LEAST_S, MOST_S = 10.0, 600.0
"""Seconds between two plain lines: at least, and at most while there is progress."""
LEAST_SHARE = 0.05
"""Of the whole, between two lines that are less than ``MOST_S`` apart."""
BAR_WIDTH = 12


class Bar:
    """Progress with rate and time left on standard error; a command that takes seconds prints no line.

    Args:
        label: what is in progress.
        total: steps in all.
        unit: what the rate counts.
        start: steps that were done before.
        shown: whether to show it at all.
    """

    def __init__(self, label: str, total: int, unit: str, *, start: int = 0, shown: bool = True) -> None:
        self.unit, self.began, self.note = unit, time.monotonic(), ""
        self.lines = Lines(label, total, start, self.began) if shown and not sys.stderr.isatty() else None
        self.progress = progress_bar(shown=shown and self.lines is None)
        self.task = self.progress.add_task(label, total=total, completed=start, note="")
        self.progress.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def advance(self, done: int, units: int | None = None) -> None:
        """Show progress, and the mean rate so far.

        Args:
            done: steps done since the start.
            units: what the rate counts, since the start; None: the steps.
        """
        rate = (done if units is None else units) / (time.monotonic() - self.began)
        self.update(done, rate)

    def update(self, done: int, rate: float, note: str = "") -> None:
        """Show progress, a rate and a note.

        Args:
            done: steps done in all.
            rate: units a second.
            note: text behind the rate.
        """
        self.note = f"{rate:.0f} {self.unit}/s {note}".rstrip()
        self.step(done)

    def step(self, done: int) -> None:
        """Show progress, with the last rate and note.

        Args:
            done: steps done in all.
        """
        self.progress.update(self.task, completed=done, note=self.note)
        line = self.lines and self.lines.due(done, self.note, time.monotonic())
        if line:
            print(line, file=sys.stderr, flush=True)

    def close(self) -> None:
        """Leave the bar as it is."""
        self.progress.stop()


class Lines:
    """When to print a line of progress, and which.

    Args:
        label: what is in progress.
        total: steps in all.
        start: steps that were done before.
        began: when it began, in seconds of a clock that does not go back.
    """

    def __init__(self, label: str, total: int, start: int, began: float) -> None:
        self.label, self.total, self.start, self.began = label, total, start, began
        self.last: tuple[float, int] | None = None

    def due(self, done: int, note: str, now: float) -> str | None:
        """The line to print.

        Args:
            done: steps done in all.
            note: rate and scores.
            now: time by the same clock.

        Returns:
            The line; None: none is due.
        """
        last_s, last_done = self.last or (self.began, self.start)
        waited_s, share = now - last_s, (done - last_done) / max(1, self.total)
        enough = self.last is None or share >= LEAST_SHARE or waited_s >= MOST_S
        if done <= last_done or waited_s < LEAST_S or not enough:
            return None
        self.last = now, done
        left_s = (now - self.began) * (self.total - done) / (done - self.start)
        left, end = timedelta(seconds=round(left_s)), datetime.now() + timedelta(seconds=left_s)
        return f"{self.label} {done}/{self.total}, {note}; {left} left, until {end:%Y-%m-%d %H:%M}"


def progress_bar(*, shown: bool) -> Progress:
    """The bar that all commands share; where it is narrow, the note is cut first."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(BAR_WIDTH),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}", table_column=Column(ratio=1, no_wrap=True, overflow="ellipsis")),
        console=Console(stderr=True),
        disable=not shown,
        expand=True,
    )
