"""How pictures look, and the map of embeddings."""

from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from .console import printable

__all__ = ["ACCENT", "GROUND", "INK", "MUTED", "STYLE", "draw", "embedding_map", "shortened"]

GROUND, INK, ACCENT, MUTED = "#ffffff", "#1d2733", "#2f6fde", "#7d8b9b"
KINDS = (
    "#3b7dd8",
    "#d2691e",
    "#2e9e5b",
    "#d94a4a",
    "#9a63d0",
    "#a0704a",
    "#d4559f",
    "#1f96a3",
    "#8a8a1f",
    MUTED,
)
"""Colours of classes; each stands out from white and from black."""
MARKS = "os^DvPX<*"
"""Shapes of classes, so that colour is not all that tells them apart."""
STYLE: Any = {
    "axes.edgecolor": MUTED,
    "axes.labelcolor": INK,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "svg.fonttype": "none",
    "svg.hashsalt": "sora",
    "text.color": INK,
    "text.parse_math": False,  # a label such as $5_$ is text, not TeX
    "xtick.color": INK,
    "ytick.color": INK,
}
"""Settings of matplotlib that hold while a picture is drawn and saved."""
MOST_NAMED = 20
"""Classes up to which a map has a legend."""
LONGEST = 32
"""Characters of a name in a picture."""
ALIKE = 1e-6
"""Spread below which features count as equal, as those of a collapsed encoder do."""


def draw(size: tuple[float, float]) -> tuple[Figure, Axes]:
    """An empty picture with one set of axes.

    Args:
        size: width and height in inches.

    Returns:
        The figure and its axes.
    """
    figure = Figure(figsize=size, layout="constrained")
    return figure, figure.subplots()


def shortened(name: str) -> str:
    """A name that leaves room for the picture beside it.

    Args:
        name: of a class or of features.

    Returns:
        The name, or its start where it is long; control characters are spelt out.
    """
    name = printable(name)
    return name if len(name) <= LONGEST else f"{name[: LONGEST - 1].rstrip()}…"


def embedding_map(features: NDArray[np.float32], labels: NDArray[np.str_]) -> Figure:
    """Videos in the plane by t-SNE of their features, a colour and a shape a class.

    Args:
        features: (N, D).
        labels: (N,) classes.
    """
    points = in_the_plane(features)
    with mpl.rc_context(STYLE):
        figure, axes = draw((4.2, 3.6))
        for number, name in enumerate(np.unique(labels)):
            x, y = points[labels == name].T
            colour, mark = KINDS[number % len(KINDS)], MARKS[number % len(MARKS)]
            axes.scatter(x, y, s=18, color=colour, marker=mark, label=str(number), linewidths=0)
        axes.set_xticks([])
        axes.set_yticks([])
        if len(np.unique(labels)) <= MOST_NAMED:
            legend = axes.legend(frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
            for text, name in zip(legend.get_texts(), np.unique(labels), strict=True):
                text.set_text(shortened(str(name)))  # as a label, a name that starts with _ would be left out
    return figure


def in_the_plane(features: NDArray[np.float32]) -> NDArray[np.float32]:
    """(N, 2) points of (N, D) features by t-SNE; all at the origin where the features are equal."""
    if np.ptp(features, axis=0).max() < ALIKE:
        return np.zeros((len(features), 2), np.float32)
    from sklearn.manifold import TSNE  # takes seconds that most commands need not spend

    perplexity = min(20.0, (len(features) - 1) / 3)
    points = TSNE(2, init="pca", perplexity=perplexity, random_state=0).fit_transform(features)
    return np.asarray(points)
