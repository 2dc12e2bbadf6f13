"""Timelines: slices' probabilities, smoothed and merged to spans, in constant memory.

The rule. A slice's probabilities are the head's for that slice alone. They are smoothed to the mean over all
slices whose middles lie at most half of ``smooth_s`` from its own, and its label is the likeliest class then.
Its cell reaches half-way to the middles of its neighbours, at the ends to the video's. Cells of the same
label that touch are one span; its confidence is the mean of its cells' smoothed probabilities of that label.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["Span", "Timeline"]

EPSILON_S = 1e-6


class Span(NamedTuple):
    """A part of a video under one label."""

    start_s: float
    end_s: float
    label: str
    confidence: float


@dataclass(frozen=True)
class Cell:
    """One slice."""

    start_s: float
    end_s: float
    chances: NDArray[np.float32]

    @property
    def middle_s(self) -> float:
        """Middle of the slice."""
        return (self.start_s + self.end_s) / 2


class Timeline:
    """Takes slices in order of time, gives spans.

    Args:
        classes: labels in the order of the probabilities.
        smooth_s: width of the window in seconds; 0 looks at each slice alone.
    """

    def __init__(self, classes: Sequence[str], smooth_s: float) -> None:
        self.classes, self.reach_s = classes, smooth_s / 2 + EPSILON_S
        self.near: deque[Cell] = deque()
        self.unlabelled = 0
        """Position in ``near`` of the first slice without a label."""
        self.spans: list[Span] = []
        self.cells = 0
        """Slices in the last span."""

    def add(self, start_s: float, end_s: float, chances: NDArray[np.float32]) -> None:
        """Take one more slice; those before it whose window is full get their label."""
        self.near.append(Cell(start_s, end_s, chances))
        while self.unlabelled < len(self.near) - 1 and self.full(self.near[self.unlabelled]):
            self.settle()

    def full(self, cell: Cell) -> bool:
        """Whether no slice to come can be in a slice's window."""
        return self.near[-1].middle_s - cell.middle_s > self.reach_s

    def settle(self) -> None:
        """Give the next slice its label and forget what no window needs any more."""
        cell = self.near[self.unlabelled]
        window = [other.chances for other in self.near if abs(other.middle_s - cell.middle_s) <= self.reach_s]
        smoothed = np.mean(window, axis=0)
        after = self.unlabelled + 1
        last = after == len(self.near)
        end_s = cell.end_s if last else (cell.middle_s + self.near[after].middle_s) / 2
        self.extend(cell.start_s, end_s, int(smoothed.argmax()), float(smoothed.max()))
        self.unlabelled = after
        while (
            self.unlabelled > 1
            and self.near[self.unlabelled - 1].middle_s - self.near[0].middle_s > 2 * self.reach_s
        ):
            self.near.popleft()
            self.unlabelled -= 1

    def extend(self, start_s: float, end_s: float, code: int, confidence: float) -> None:
        """Add a labelled cell to the last span, or start another at its end."""
        label = self.classes[code]
        if self.spans and self.spans[-1].label == label:
            old = self.spans[-1]
            mean = (old.confidence * self.cells + confidence) / (self.cells + 1)
            self.spans[-1] = Span(old.start_s, end_s, label, mean)
            self.cells += 1
        else:
            since_s = self.spans[-1].end_s if self.spans else start_s
            self.spans.append(Span(since_s, end_s, label, confidence))
            self.cells = 1

    def end(self) -> tuple[Span, ...]:
        """The spans of a video whose slices have all been taken."""
        while self.unlabelled < len(self.near):
            self.settle()
        return tuple(self.spans)
