"""What commands print for a person."""

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

if TYPE_CHECKING:
    from sora_video.pretrain.quarantine import Failure

__all__ = ["clock", "print_failures", "print_json", "print_table", "say", "warn"]

console = Console(highlight=False, soft_wrap=True)
errors = Console(stderr=True, highlight=False, soft_wrap=True)


def say(text: str) -> None:
    """One line on standard output."""
    console.print(escape(text))


def warn(text: str) -> None:
    """One line of warning on standard error."""
    errors.print(escape(f"warning: {text}"))


def print_json(value: Any) -> None:
    """A value as JSON on standard output."""
    print(json.dumps(value, indent=2, ensure_ascii=False))


def print_table(rows: Sequence[Mapping[str, Any]], title: str | None = None) -> None:
    """Rows as a table; numbers between 0 and 1 keep three digits, absent cells stay empty."""
    columns = list(dict.fromkeys(key for row in rows for key in row))
    table = Table(title=title, title_justify="left")
    for column in columns:
        numeric = any(isinstance(row.get(column), int | float) for row in rows)
        table.add_column(column, justify="right" if numeric else "left", overflow="fold")
    for row in rows:
        table.add_row(*(cell(row.get(column, "")) for column in columns))
    Console(highlight=False).print(table)


def cell(value: Any) -> str:
    """One value as text."""
    return f"{value:.3f}" if isinstance(value, float) else escape(str(value))


def clock(seconds: float) -> str:
    """Seconds as minutes:seconds.tenths."""
    minutes, tenths = divmod(round(10 * seconds), 600)
    return f"{minutes}:{tenths / 10:04.1f}"


def print_failures(failures: "Sequence[Failure]", total: int) -> None:
    """Name on standard error every video that could not be read."""
    if not failures:
        return
    errors.print(f"{len(failures)} of {total} videos could not be read:")
    for failure in failures:
        errors.print(escape(f"  {failure.video_id}: {failure.reason}"))
