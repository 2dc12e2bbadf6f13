"""How pictures look, and the map of embeddings."""

from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

__all__ = ["ACCENT", "INK", "MUTED", "STYLE", "draw", "embedding_map"]

INK, ACCENT, MUTED = "#1d2733", "#2f6fde", "#9aa7b5"
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
"""Classes up to which a map has a legend; the colours repeat beyond."""
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


def embedding_map(features: NDArray[np.float32], labels: NDArray[np.str_]) -> Figure:
    """Videos in the plane by t-SNE of their features, coloured by class.

    Args:
        features: (N, D).
        labels: (N,) classes.
    """
    points = in_the_plane(features)
    colours = mpl.colormaps["tab10" if len(np.unique(labels)) <= 10 else "tab20"]
    with mpl.rc_context(STYLE):
        figure, axes = draw((5.4, 4.2))
        for number, name in enumerate(np.unique(labels)):
            x, y = points[labels == name].T
            axes.scatter(
                x, y, s=14, color=colours(number % colours.N), label=str(number), alpha=0.85, linewidths=0
            )
        axes.set_xticks([])
        axes.set_yticks([])
        if len(np.unique(labels)) <= MOST_NAMED:
            legend = axes.legend(frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
            for text, name in zip(legend.get_texts(), np.unique(labels), strict=True):
                text.set_text(str(name))  # as a label, a name that starts with _ would be left out
    return figure


def in_the_plane(features: NDArray[np.float32]) -> NDArray[np.float32]:
    """(N, 2) points of (N, D) features by t-SNE; all at the origin where the features are equal."""
    if np.ptp(features, axis=0).max() < ALIKE:
        return np.zeros((len(features), 2), np.float32)
    from sklearn.manifold import TSNE  # takes seconds that most commands need not spend

    perplexity = min(20.0, (len(features) - 1) / 3)
    points = TSNE(2, init="pca", perplexity=perplexity, random_state=0).fit_transform(features)
    return np.asarray(points)
