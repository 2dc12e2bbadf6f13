"""Tables: on a terminal as wide as it is, in a file or a pipe a line a row."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from sora_video.base.console import printable, say

__all__ = ["print_table"]

Rows = Sequence[Mapping[str, str]]
GAP = 3
"""Characters between two columns: a line, and a space on either side."""


def print_table(
    rows: Sequence[Mapping[str, Any]],
    title: str | None = None,
    *,
    prose: Collection[str] = (),
    empty: str = "none",
) -> None:
    """Rows as a table; fractions have three digits, absent cells stay empty.

    Names are never cut and no word is. On a terminal that is too narrow, columns of prose are wrapped between
    words; where that does not help, each row is a block of lines, one a cell. In a file or a pipe each row is
    one line, whatever its length.

    Args:
        rows: cells by column.
        title: above the table.
        prose: columns that may be wrapped between words.
        empty: the line that is printed where there are no rows.
    """
    if not rows:
        say(empty)
        return
    cells = [{printable(name): told(value) for name, value in row.items()} for row in rows]
    columns = list(dict.fromkeys(name for row in cells for name in row))
    numeric = {
        printable(name) for row in rows for name, value in row.items() if isinstance(value, int | float)
    }
    console = Console(highlight=False)
    is_terminal = console.file.isatty()
    if title:
        console.print(Text(printable(title), "table.title"), soft_wrap=True)
    if is_terminal and width_of(columns, cells, prose) > console.width:
        for line in stacked(columns, cells):
            say(line)
        return
    if not is_terminal:
        console.width = width_of(columns, cells, ())
    table = Table()
    for name in columns:
        table.add_column(
            Text(name), justify="right" if name in numeric else "left", no_wrap=name not in prose
        )
    for row in cells:
        table.add_row(*(Text(row.get(name, "")) for name in columns))
    console.print(table)


def told(value: Any) -> str:
    """One value as text."""
    if value is None:
        return ""
    return f"{value:.3f}" if isinstance(value, float) else printable(str(value))


def width_of(columns: Sequence[str], rows: Rows, prose: Collection[str]) -> int:
    """Characters of the narrowest line that cuts no name; and no word of the columns of prose."""
    return 1 + sum(
        GAP + max(narrowest(text, name in prose) for text in (name, *(row.get(name, "") for row in rows)))
        for name in columns
    )


def narrowest(text: str, is_prose: bool) -> int:
    """Characters that a cell takes at least."""
    return max(map(cell_len, text.split()), default=0) if is_prose else cell_len(text)


def stacked(columns: Sequence[str], rows: Rows) -> list[str]:
    """Rows as blocks of lines, a line a cell; of a table of names and values each row is a line."""
    if columns[0] == "" and len(columns) == 2:
        widest = max(cell_len(row[""]) for row in rows)
        return [f"{padded(row[''], widest)}  {row[columns[1]]}" for row in rows]
    widest = max(map(cell_len, columns))
    blocks = [[f"{padded(name, widest)}  {row[name]}" for name in columns if row.get(name)] for row in rows]
    return [line for block in blocks for line in ("", *block)][1:]


def padded(text: str, width: int) -> str:
    """Text with spaces behind it, up to a width."""
    return text + " " * (width - cell_len(text))
