"""Progress bars."""

import sys
import time
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

__all__ = ["Bar", "progress_bar"]


class Bar:
    """A progress bar with rate and time left, on standard error when that is a terminal.

    Args:
        label: what is in progress.
        total: steps in all.
        unit: what the rate counts.
        shown: whether to show it at all.
    """

    def __init__(self, label: str, total: int, unit: str, *, shown: bool = True) -> None:
        self.unit, self.began = unit, time.monotonic()
        self.progress = progress_bar(shown=shown)
        self.task = self.progress.add_task(label, total=total, note="")
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
            done: steps done since the start.
            rate: units a second.
            note: text behind the rate.
        """
        self.progress.update(self.task, completed=done, note=f"{rate:.0f} {self.unit}/s {note}")

    def close(self) -> None:
        """Leave the bar as it is."""
        self.progress.stop()


def progress_bar(*, shown: bool = True) -> Progress:
    """The bar that all commands share.

    Args:
        shown: whether to show it; it is hidden also where standard error is not a terminal.
    """
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
        console=Console(stderr=True),
        disable=not (shown and sys.stderr.isatty()),
    )
