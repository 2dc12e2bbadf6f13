"""A report as one self-contained HTML file."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from sora_video.base.page import Strip, write_page

__all__ = ["Answer", "write_report"]


@dataclass(frozen=True)
class Answer:
    """One query of the gallery and what it found."""

    query: Strip
    hits: Sequence[Strip]


def write_report(
    path: Path,
    *,
    title: str,
    lead: str,
    table: Sequence[Mapping[str, Any]],
    figures: Mapping[str, str],
    gallery: Sequence[Answer],
    protocol: Mapping[str, str],
    tables: Mapping[str, Sequence[Mapping[str, Any]]] = MappingProxyType({}),
    mistakes: Sequence[Strip] = (),
    warnings: Sequence[str] = (),
) -> None:
    """Write a report.

    Args:
        path: the HTML file.
        title: heading.
        lead: one or two sentences on what the reader sees.
        table: rows of numbers; floats keep three digits.
        figures: SVG elements by caption.
        gallery: queries above their hits.
        protocol: what is needed to repeat the numbers, by name.
        tables: further rows of numbers by caption.
        mistakes: videos that were taken for something else.
        warnings: see :func:`sora_video.base.page.write_page`.
    """
    write_page(
        path,
        __package__,
        "report.html",
        title=title,
        lead=lead,
        tables={"Numbers": table, **tables},
        figures=figures,
        gallery=gallery,
        protocol=protocol,
        mistakes=mistakes,
        warnings=warnings,
    )
