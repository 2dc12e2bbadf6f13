"""Pictures as part of a page: SVG text that needs no other file and follows the page's colours."""

import re
from io import StringIO

import matplotlib as mpl
from markupsafe import escape
from matplotlib.figure import Figure

from .figures import ACCENT, GROUND, INK, MUTED

__all__ = ["to_svg"]

THEMED = {INK: "--ink", ACCENT: "--accent", MUTED: "--muted", GROUND: "--card"}
"""Colours that a page sets, each by day and by night; see ``base.html``."""
PIXELS = 96
"""Of an inch."""
LEAST = 0.74
"""Of its size, to which a picture shrinks on a narrow page; then it scrolls."""


def to_svg(figure: Figure, alt: str) -> str:
    """A picture as an ``<svg>`` element.

    Args:
        figure: the picture.
        alt: what it shows, for those who do not see it.

    Returns:
        The element as text.
    """
    buffer = StringIO()
    with mpl.rc_context({"svg.hashsalt": alt}):  # ids of their own for each picture of a page
        figure.savefig(
            buffer,
            format="svg",
            transparent=True,
            metadata=dict.fromkeys(("Creator", "Date", "Format", "Type")),
        )
    text = buffer.getvalue()
    text = re.sub(r'(<g) id="[^"]*"', r"\1", text[text.index("<svg") :])
    for colour, name in THEMED.items():
        text = text.replace(colour, f"var({name})")
    width = LEAST * PIXELS * figure.get_figwidth()
    head = f'<svg role="img" aria-label="{escape(alt)}" style="min-width: {width:.0f}px" '
    return head + text.removeprefix("<svg ")
