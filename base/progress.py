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
        label: what is under way.
        total: steps in all.
        unit: what the rate counts.
        shown: whether to show it at all.
    """

    def __init__(self, label: str, total: int, unit: str, *, shown: bool = True) -> None:
        self.unit, self.began = unit, time.monotonic()
        self.scores: dict[str, float] = {}
        self.progress = progress_bar(shown=shown)
        self.task = self.progress.add_task(label, total=total, note="")
        self.progress.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def advance(self, done: int, units: int | None = None) -> None:
        """Show ``done`` steps, and the rate of all ``units`` so far (by default the steps)."""
        rate = (done if units is None else units) / (time.monotonic() - self.began)
        self.update(done, rate)

    def update(self, done: int, rate: float, note: str = "") -> None:
        """Show ``done`` steps, the rate in units a second and a note."""
        self.progress.update(self.task, completed=done, note=f"{rate:.0f} {self.unit}/s {note}")

    def close(self) -> None:
        """Leave the bar as it is."""
        self.progress.stop()


def progress_bar(*, shown: bool = True) -> Progress:
    """The bar that all commands share."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
        console=Console(stderr=True),
        disable=not (shown and sys.stderr.isatty()),
    )
