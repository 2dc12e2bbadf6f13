"""A table of videos: CSV as spreadsheet programs write it, or Parquet."""

import re
import unicodedata
from collections.abc import Sequence
from pathlib import Path

from sora_video.base import console
from sora_video.base.errors import CorpusError
from sora_video.base.kinds import not_there
from sora_video.base.times import FORMS, parse_time

from .spreadsheet import Row, Sheet, read_sheet
from .video import Video, readable

__all__ = ["check_any_exists", "read_manifest"]

COLUMNS = ("path", "label", "group", "split", "start_s", "end_s")
"""Columns with a meaning, which a header may write in any case."""
DECIMAL_COMMA = re.compile(r"[\d:]*,\d+", re.ASCII)
TIMES = re.compile(r"(start|begin|end|stop)(s|sec|seconds|time)?")
"""Letters of names that people give to columns of times."""
NO_LETTER = re.compile(r"[^a-z]")
THOUSANDS = re.compile(r"\d{1,3},\d{3}", re.ASCII)
DRIVE = re.compile(r"[A-Za-z]:/|//")
"""How a path of Windows begins that no other machine has, with slashes."""
NAMED = 3
"""Paths that a message names."""


def read_manifest(path: Path) -> list[Video]:
    """The rows of a manifest.

    Args:
        path: see :func:`.spreadsheet.read_sheet`; paths in it are relative to its folder.

    Returns:
        A video for each row, in their order.

    Raises:
        CorpusError: it cannot be read, or a row does not name a video or a span of one.
    """
    sheet = read_sheet(path, COLUMNS, verbatim=["path"])
    if not sheet.columns or ("path" in sheet.columns and not sheet.rows):
        raise CorpusError(f"manifest {path}: has no rows; add one row per video")
    if "path" not in sheet.columns:
        columns = f"has no column 'path', only {', '.join(sheet.columns)}; the first line names the columns: "
        reason = f"{columns}call the one of the files path"
        if sheet.separator is None:
            reason = not_there(path, "a manifest", reason)
        raise CorpusError(f"manifest {path}: {reason}")
    warn_of_times(path, sheet)
    return [from_row(path, row, sheet.separator) for row in sheet.rows]


def warn_of_times(path: Path, sheet: Sheet) -> None:
    """Name columns that may be meant as times of spans, but are not called so: ``start``, ``End (s)``."""
    for column in sheet.columns:
        word = TIMES.fullmatch(NO_LETTER.sub("", column.casefold()))
        name = None if word is None else "start_s" if word[1] in ("start", "begin") else "end_s"
        if name and name not in sheet.columns and all(is_time(row.cells[column]) for row in sheet.rows):
            console.warn(
                f"manifest {path}: column {column!r} is taken for an attribute; call it {name} if it has the "
                "times of spans"
            )


def is_time(text: str) -> bool:
    """Whether a cell may be meant as a time; an empty one may."""
    try:
        return not text or parse_time(text.replace(",", ".")) >= 0
    except ValueError:
        return False


def check_any_exists(manifest: Path, videos: Sequence[Video]) -> None:
    """Refuse a manifest of which no file exists.

    Args:
        manifest: its path.
        videos: of its rows.

    Raises:
        CorpusError: no file exists; the first paths are named, and what is likely to be wrong with them.
    """
    if any(video.path.exists() for video in videos):
        return
    paths = list(dict.fromkeys(video.path for video in videos))
    tried = ", ".join(map(str, paths[:NAMED])) + ", …" * (len(paths) > NAMED)
    raise CorpusError(
        f"manifest {manifest}: none of its {len(paths)} files exists: {tried}; {remedy(videos)}"
    )


def remedy(videos: Sequence[Video]) -> str:
    """What helps where no file of a manifest exists."""
    if DRIVE.match(videos[0].video_id):
        return "they are paths of a Windows machine; write them relative to the manifest's folder"
    if Path(videos[0].video_id).exists():
        return "they exist below the current folder, but paths are relative to the manifest's; move it here"
    return "paths are relative to the manifest's folder; correct them, or move the manifest"


def from_row(manifest: Path, row: Row, separator: str | None) -> Video:
    """One row as a video."""
    row_name, cells = f"manifest {manifest} {row.place}", row.cells
    if not cells["path"].strip():
        raise CorpusError(f"{row_name}: path is empty; name a file or drop the row")
    start_s = seconds(row_name, "start_s", cells.get("start_s", ""), separator) or 0.0
    end_s = seconds(row_name, "end_s", cells.get("end_s", ""), separator)
    if end_s is not None and end_s <= start_s:
        raise CorpusError(f"{row_name}: end_s={end_s:g} must be after start_s={start_s:g}; fix the row")
    path = existing(manifest.parent, cells["path"])
    known = {"path", "start_s", "end_s"}
    return Video(
        video_id=readable(path),
        path=manifest.parent / path,
        start_s=start_s,
        end_s=end_s,
        columns={key: value for key, value in cells.items() if key not in known and value},
    )


def existing(folder: Path, text: str) -> Path:
    """The path that a cell means: as it stands where such a file exists, else as another system wrote it."""
    stripped = text.strip()
    slashes = stripped.replace("\\", "/")
    composed = () if slashes.isascii() else (unicodedata.normalize(form, slashes) for form in ("NFC", "NFD"))
    spellings = list(dict.fromkeys((text, stripped, slashes, *composed)))
    if len(spellings) == 1:
        return Path(slashes)  # to ask for each file of a long manifest takes time
    return next((Path(spelling) for spelling in spellings if (folder / spelling).exists()), Path(slashes))


def seconds(row_name: str, column: str, text: str, separator: str | None) -> float | None:
    """A cell with a time; None when empty.

    Raises:
        CorpusError: it is no time; or it has a comma that may stand before decimals or before thousands.
    """
    if not text:
        return None
    decimal = DECIMAL_COMMA.fullmatch(text)
    if decimal and separator != ";" and THOUSANDS.fullmatch(text):
        raise CorpusError(
            f"{row_name}: {column}={text!r} can be read in two ways; write {text.replace(',', '.')}, "
            f"or {text.replace(',', '')}"
        )
    try:
        return parse_time(text.replace(",", ".") if decimal else text)
    except ValueError:
        raise CorpusError(f"{row_name}: {column}={text!r} is not a time in seconds; write {FORMS}") from None
