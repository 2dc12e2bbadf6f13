"""A report as one self-contained HTML file."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from sora_video.configs.storage import write_text

__all__ = ["Answer", "Strip", "write_page", "write_report"]


@dataclass(frozen=True)
class Strip:
    """Frames of a span with their caption."""

    image: str
    """Data URI."""
    title: str
    note: str
    """Time span, score."""
    good: bool = True
    """Whether it shows what was asked for."""


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
    """
    write_page(
        path,
        "report.html",
        title=title,
        lead=lead,
        tables={"Numbers": table, **tables},
        figures=figures,
        gallery=gallery,
        protocol=protocol,
        mistakes=mistakes,
    )


def write_page(path: Path, template: str, **content: Any) -> None:
    """Write one self-contained HTML file.

    Args:
        path: the file.
        template: name of a template beside this module.
        content: what it shows.
    """
    environment = Environment(
        loader=PackageLoader("sora_video.downstream", "."),
        autoescape=select_autoescape(),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    write_text(path, environment.get_template(template).render(content))
