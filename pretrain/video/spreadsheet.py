"""Tables as people save them: text in any common encoding with any separator, or Parquet; cells are text."""

import codecs
import csv
import io
import re
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from sora_video.base import console
from sora_video.base.digests import open_file
from sora_video.base.errors import CorpusError
from sora_video.base.files import read_parquet

__all__ = ["SUFFIXES", "Row", "Sheet", "read_sheet"]

WORKBOOKS = {
    ".xlsx": "an Excel workbook",
    ".xlsm": "an Excel workbook",
    ".xlsb": "an Excel workbook",
    ".xls": "an Excel workbook",
    ".ods": "a LibreOffice spreadsheet",
    ".numbers": "a Numbers spreadsheet",
}
SUFFIXES = frozenset({".csv", ".tsv", ".tab", ".txt", ".parquet", *WORKBOOKS})
"""File name endings that are taken for a table, in any case; workbooks are refused with a remedy."""
SAVE_AS = {
    "a LibreOffice spreadsheet": "open it and choose File > Save As > Text CSV",
    "a Numbers spreadsheet": "open it and choose File > Export To > CSV",
}
SAVE_AS_CSV = "open it and choose File > Save As > CSV UTF-8 (in LibreOffice: Text CSV)"
UTF8 = "save it as CSV in UTF-8"
BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16, whose mark it begins with
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
SEPARATORS = ",;\t|"
NAMES = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
DECLARED = re.compile(r"sep=(.)\s*?(\r\n|\r|\n)", re.IGNORECASE)
"""Excel's own first line, which is no row."""
FOREIGN_WORD = re.compile(r"[^\s,;|\"]*[^\x00-\x7f][^\s,;|\"]*")
UNSEEN = "\ufeff\u200b\u2060"
"""Characters that nobody sees, beside white space."""


class Row(NamedTuple):
    """One row of a table."""

    place: str
    """For messages: ``line 3`` of a text, where the row starts, or ``row 3`` of Parquet."""
    cells: dict[str, str]
    """By column, without white space at their ends; empty cells are empty strings."""


class Sheet(NamedTuple):
    """A table."""

    columns: list[str]
    rows: list[Row]
    """Those that are not empty; none are read of a table that lacks the first of the columns asked for."""
    separator: str | None
    """Between the cells; None: the file is Parquet."""


def read_sheet(path: Path, columns: Sequence[str], verbatim: Collection[str] = ()) -> Sheet:
    """Read a table as text.

    A text may be in UTF-8 or UTF-16 with or without a byte-order mark, or else in Windows-1252, which is told
    on standard error; with commas, semicolons, tabs or bars between its cells, with any line ends, and with
    lines in a quoted cell.

    Args:
        path: the file.
        columns: names with a meaning, which the header may write in any case; the separator is the one that
            gives the first of them.
        verbatim: columns whose cells keep white space at their ends.

    Returns:
        The header and the rows; no rows where the file is empty.

    Raises:
        CorpusError: the file does not exist, is no table, or rows and header do not fit.
    """
    if not path.is_file():
        raise CorpusError(f"manifest {path}: no such file; check the path")
    try:
        with open_file(path) as file:
            start = file.read(8)
            refuse_workbook(path, start)
            if start.startswith(b"PAR1"):
                return from_parquet(path, columns, verbatim)
            if path.suffix.lower() == ".parquet":
                raise CorpusError(
                    f"manifest {path}: is not Parquet; if it is a table as text, name it .csv, else write it "
                    "anew"
                )
            text = decode(path, start + file.read())
    except OSError as error:
        raise CorpusError(f"manifest {path}: cannot be read: {error}; check the file") from error
    return from_text(path, text, columns, verbatim)


def refuse_workbook(path: Path, start: bytes) -> None:
    """Refuse files that only a spreadsheet program opens."""
    kind = WORKBOOKS.get(path.suffix.lower())
    if kind or start.startswith((b"PK\x03\x04", b"\xd0\xcf\x11\xe0")):
        kind = kind or "a workbook of a spreadsheet program"
        raise CorpusError(f"manifest {path}: is {kind}, not CSV; {SAVE_AS.get(kind, SAVE_AS_CSV)}")


def decode(path: Path, data: bytes) -> str:
    """A file's bytes as text."""
    encoding = encoding_of(data)
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        if encoding != "utf-8":
            raise CorpusError(f"manifest {path}: cannot be read as {encoding}: {error}; {UTF8}") from error
        text = decode_windows(path, data)
    if "\0" in text:
        raise CorpusError(f"manifest {path}: cannot be read: is no text, it has zero bytes; {UTF8}")
    return text


def encoding_of(data: bytes) -> str:
    """By the byte-order mark, or by the zero bytes that UTF-16 has beside each Latin letter."""
    for mark, encoding in BYTE_ORDER_MARKS:
        if data.startswith(mark):
            return encoding
    start = data[:256]
    for encoding, zeros in (("utf-16-le", start[1::2]), ("utf-16-be", start[::2])):
        if len(start) > 1 and zeros.count(0) > len(zeros) / 2:
            return encoding
    return "utf-8"


def decode_windows(path: Path, data: bytes) -> str:
    """Text of a Western Windows program; a line on standard error says so."""
    try:
        text = data.decode("cp1252")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise CorpusError(
            f"manifest {path}: cannot be read: line {line} is neither UTF-8 nor Windows-1252, with the "
            f"byte {data[error.start]:#04x}; {UTF8}"
        ) from error
    word = FOREIGN_WORD.search(text)
    example = f" ({word[0]!r} on line {text[: word.start()].count(chr(10)) + 1})" if word else ""
    console.warn(f"manifest {path}: is not UTF-8; read as Windows-1252{example}; if that is wrong, {UTF8}")
    return text


def from_text(path: Path, text: str, columns: Sequence[str], verbatim: Collection[str]) -> Sheet:
    """The rows of a text."""
    declared = DECLARED.match(text)
    body = text[declared.end() :] if declared else text
    separator = declared[1] if declared else separator_of(body, columns)
    lines = numbered_rows(path, body, separator, 2 if declared else 1)
    first_line, header = next(lines, (1, []))
    names = name_columns(path, f"line {first_line}", header, columns)
    if columns[0] not in names:
        return Sheet([name for name in names if name], [], separator)
    rows = []
    for line, texts in lines:
        check_length(path, line, texts, names, separator)
        cells = {
            name: text if name in verbatim else trimmed(text)
            for name, text in zip(names, texts, strict=False)
        }
        rows.append(Row(f"line {line}", {name: cells.get(name, "") for name in names if name}))
    return Sheet([name for name in names if name], rows, separator)


def numbered_rows(path: Path, text: str, separator: str, first: int) -> Iterator[tuple[int, list[str]]]:
    """Rows that are not empty, each with the line that it starts on."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    line = first
    try:
        for cells in reader:
            if any(trimmed(cell) for cell in cells):
                yield line, cells
            line = first + reader.line_num
    except csv.Error as error:
        raise CorpusError(
            f"manifest {path} line {line}: a quoted cell cannot be read: {error}; close each quote, and "
            'write "" for one within a cell'
        ) from error


def separator_of(text: str, columns: Sequence[str]) -> str:
    """The separator by which the header has the first column, or else the most cells."""
    header = next((line for line in text.splitlines() if trimmed(line)), "")

    def fit(separator: str) -> tuple[bool, int]:
        cells = next(csv.reader([header], delimiter=separator), [])
        return columns[0] in map(str.casefold, map(trimmed, cells)), len(cells)

    return max(SEPARATORS, key=fit)


def name_columns(path: Path, place: str, header: Sequence[str], columns: Sequence[str]) -> list[str]:
    """Names of the columns: those with a meaning in their own spelling, others as they are; none twice."""
    meaning = {name.casefold(): name for name in columns}
    names = [meaning.get(name.casefold(), name) for name in map(trimmed, header)]
    for name, count in Counter(name for name in names if name).items():
        if count > 1:
            places = [str(number) for number, other in enumerate(names, 1) if other == name]
            raise CorpusError(
                f"manifest {path} {place}: columns {' and '.join(places)} are both named {name!r}; rename one"
            )
    return names


def check_length(path: Path, line: int, texts: Sequence[str], names: Sequence[str], separator: str) -> None:
    """Refuse cells beyond the header's: some cell has the separator in it."""
    beyond = [text for text in map(trimmed, texts[len(names) :]) if text]
    if beyond:
        raise CorpusError(
            f"manifest {path} line {line}: has more cells between {NAMES[separator]} than the {len(names)} "
            f"of the header, as {beyond[0]!r}; put a cell that holds {separator!r} in quotes"
        )


def trimmed(text: str) -> str:
    """A cell without what nobody sees at its ends."""
    before = None
    while text != before:
        before, text = text, text.strip().strip(UNSEEN)
    return text


def from_parquet(path: Path, columns: Sequence[str], verbatim: Collection[str]) -> Sheet:
    """The rows of a Parquet file, as text."""
    try:
        header = pq.read_schema(path).names
        if columns[0] not in map(str.casefold, map(trimmed, header)):
            return Sheet(header, [], None)  # a large table of another kind is not read
        table = read_parquet(path)
    except (pa.ArrowException, OSError) as error:
        raise CorpusError(f"manifest {path}: cannot be read: {error}; write it anew") from error
    names = name_columns(path, "header", header, columns)
    rows = [
        {
            name: text if name in verbatim else trimmed(text)
            for name, text in zip(names, map(cell_text, values), strict=True)
            if name
        }
        for values in zip(*(column.to_pylist() for column in table.columns), strict=True)
    ]
    filled = [Row(f"row {number}", cells) for number, cells in enumerate(rows, 1) if any(cells.values())]
    return Sheet([name for name in names if name], filled, None)


def cell_text(value: object) -> str:
    """A value as a cell of text; none, and what is no number, are empty."""
    return "" if value is None or value != value else str(value)
