"""How the labels of timelines look: no two have the same colour and pattern, however many there are."""

from collections.abc import Sequence
from typing import NamedTuple

__all__ = ["Mark", "marks_of"]

HUES, PATTERNS = 11, 8
"""Of a round. They have no common divisor, so that each pair comes once in a round, and any eight labels that
follow each other differ in both."""
HUE_STEP = 4
"""Hues between two labels that follow each other."""
LIGHTNESS = (56, 44, 66)
"""Per cent of OKLCH, of one round after the other."""


class Mark(NamedTuple):
    """The look of a label."""

    number: int
    """From 1, shown where the label has no room."""
    colour: str
    """CSS."""
    pattern: int
    """Below :data:`PATTERNS`; the page's style sheet draws them."""


def marks_of(labels: Sequence[str]) -> dict[str, Mark]:
    """A mark for each label.

    Args:
        labels: without repetition.

    Returns:
        The marks by label.
    """
    return {label: mark(number) for number, label in enumerate(labels)}


def mark(number: int) -> Mark:
    """The mark of the label with this number, from 0."""
    shift, round_ = divmod(number // (HUES * PATTERNS), len(LIGHTNESS))
    hue = (number * HUE_STEP % HUES * 360 // HUES + 7 * shift) % 360
    return Mark(number + 1, f"oklch({LIGHTNESS[round_]}% 0.13 {hue})", number % PATTERNS)
