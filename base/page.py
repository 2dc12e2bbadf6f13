"""Self-contained HTML pages."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined, select_autoescape
from markupsafe import Markup

from .console import printable
from .files import write_text

__all__ = ["Strip", "write_page"]


@dataclass(frozen=True)
class Strip:
    """Frames of a span with their caption."""

    image: str
    """Data URI; empty where there is no picture."""
    title: str
    note: str
    """Time span, score."""
    good: bool = True
    """Whether it shows what was asked for."""


def write_page(
    path: Path, package: str, template: str, *, warnings: Sequence[str] = (), **content: Any
) -> None:
    """Write one self-contained HTML file; texts are escaped, and control characters are spelt out.

    Args:
        path: the file.
        package: which package holds the template; it may extend and import those of ``sora_video.base``.
        template: the template's file name.
        warnings: what the reader must know before believing the page; the same as at the terminal.
        content: the template's variables.
    """
    packages = (package, "sora_video.base")
    environment = Environment(
        loader=ChoiceLoader([PackageLoader(name, ".") for name in packages]),
        autoescape=select_autoescape(),
        finalize=shown,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    write_text(path, environment.get_template(template).render(content, warnings=warnings))


def shown(value: Any) -> Any:
    """A variable as a page shows it: names of files may hold what a reader does not see."""
    return printable(value) if isinstance(value, str) and not isinstance(value, Markup) else value
