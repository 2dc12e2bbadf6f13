"""Pictures of a report, as SVG text that needs no other file."""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.colors import LinearSegmentedColormap, to_rgba
from numpy.typing import NDArray

from sora_video.base import figures
from sora_video.base.figures import ACCENT, GROUND, INK, MUTED, STYLE, draw, shortened
from sora_video.base.svg import to_svg

__all__ = ["class_bars", "confusion", "embedding_map", "loss_curve", "score_bars"]

MOST_BARS = 60
MOST_COUNTS = 40
"""Classes up to which a confusion matrix has numbers in its cells."""
WIDE = 4.2
"""Inches of a picture, which a telephone shows whole."""
LETTER = 0.08
"""Inches of a letter of a name."""
LINES = "-", "--", "-.", ":"
SHADES = LinearSegmentedColormap.from_list("shades", [to_rgba(ACCENT, 0), to_rgba(ACCENT, 0.6)])
"""Text is read on all of them, by day and by night."""


def loss_curve(logs: Mapping[str, Sequence[Mapping[str, float]]]) -> str:
    """Loss by epoch, one line a run.

    Args:
        logs: lines of log.jsonl by the run's name.

    Returns:
        An ``<svg>`` element.
    """
    ends = [f"{name} from {log[0]['loss']:.2f} to {log[-1]['loss']:.2f}" for name, log in logs.items()]
    with mpl.rc_context(STYLE):
        figure, axes = draw((WIDE, 3.0))
        for number, (name, log) in enumerate(logs.items()):
            epochs, losses = [line["epoch"] for line in log], [line["loss"] for line in log]
            line = LINES[number % len(LINES)]
            axes.plot(epochs, losses, color=ACCENT, linestyle=line, label=name, linewidth=1.5)
        axes.set_xlabel("epoch")
        axes.set_ylabel("InfoNCE loss")
        axes.legend(frameon=False)
        return to_svg(figure, f"Lines of the InfoNCE loss by epoch: {', '.join(ends)}")


def score_bars(
    scores: Mapping[str, Sequence[float]], chance: float, metric: str = "balanced accuracy"
) -> str:
    """A metric by features, a dot a seed.

    Args:
        scores: values in [0, 1] by name.
        chance: drawn as a line.
        metric: its name.

    Returns:
        An ``<svg>`` element.
    """
    means = {name: float(np.mean(values)) for name, values in scores.items()}
    with mpl.rc_context(STYLE):
        figure, axes = draw((WIDE, 0.5 * len(scores) + 0.8))
        names = list(scores)[::-1]  # the first on top
        for row, name in enumerate(names):
            values = scores[name]
            colour = ACCENT if name.startswith("pretrained") else MUTED
            axes.barh(row, means[name], color=colour, height=0.6)
            axes.plot(values, [row] * len(values), "o", markersize=4, mfc=GROUND, mec=INK, mew=0.8)
            clear = {"facecolor": GROUND, "edgecolor": "none", "pad": 1}  # of the line of chance
            axes.text(max(values) + 0.03, row, f"{means[name]:.2f}", va="center", bbox=clear)
        axes.axvline(chance, color=INK, linewidth=0.8, linestyle=":")
        axes.set_yticks(range(len(names)), [shortened(name) for name in names])
        axes.set_xlim(0, 1.16)
        axes.set_xticks(np.linspace(0, 1, 6))
        axes.set_xlabel(f"{metric} (dotted: chance)", loc="right")
        told = ", ".join(f"{name} {mean:.2f}" for name, mean in means.items())
        return to_svg(figure, f"Bars of {metric} on the test videos: {told}; chance {chance:.2f}")


def class_bars(rows: Sequence[Mapping[str, Any]], value: str) -> str:
    """A value in [0, 1] by class, the number of test videos beside its name; of many classes the ends.

    Args:
        rows: a row a class, with ``class``, ``test`` and ``value``, which may be None.
        value: its name.

    Returns:
        An ``<svg>`` element.
    """
    ranked = sorted((row for row in rows if row[value] is not None), key=lambda row: float(row[value]))
    if len(ranked) > MOST_BARS:
        ranked = ranked[: MOST_BARS // 2] + ranked[-MOST_BARS // 2 :]
    with mpl.rc_context(STYLE):
        figure, axes = draw((WIDE, 0.22 * len(ranked) + 0.8))
        axes.barh(range(len(ranked)), [row[value] for row in ranked], color=ACCENT, height=0.7)
        axes.set_yticks(range(len(ranked)), [f"{shortened(row['class'])} ({row['test']})" for row in ranked])
        axes.set_xlim(0, 1)
        axes.set_xlabel(f"{value} of the linear probe (test videos)", loc="right")
        ends = ", ".join(f"{row['class']} {row[value]:.2f}" for row in (*ranked[:1], *ranked[1:][-1:]))
        return to_svg(figure, f"Bars of {value} by class, from least to greatest: {ends}")


def confusion(truth: NDArray[np.str_], predicted: NDArray[np.str_], classes: Sequence[str]) -> str:
    """Counts of predicted (columns) by true (rows) class, shaded by row fraction.

    Args:
        truth: (n,) classes.
        predicted: (n,) classes.
        classes: their order.

    Returns:
        An ``<svg>`` element.
    """
    counts = np.array([[np.sum((truth == a) & (predicted == b)) for b in classes] for a in classes])
    shares = counts / np.maximum(1, counts.sum(1, keepdims=True))
    small = len(classes) > MOST_COUNTS
    size, names = 5 if small else None, [shortened(name) for name in classes]
    cells = (0.12 if small else max(0.36, 1.4 / len(classes))) * len(classes)
    beside = (0.04 if small else LETTER) * max(map(len, names)) + 0.6
    with mpl.rc_context(STYLE):
        figure, axes = draw((cells + beside, cells + (beside if small else 0.8 * beside)))
        axes.imshow(shares, cmap=SHADES, vmin=0, vmax=1, aspect="auto")
        for row, column in np.argwhere(counts if not small else np.zeros_like(counts)):
            axes.text(column, row, str(counts[row, column]), ha="center", va="center")
        axes.set_xticks(
            range(len(classes)),
            names,
            rotation=90 if small else 45,
            ha="center" if small else "right",
            rotation_mode="default" if small else "anchor",
            size=size,
        )
        axes.set_yticks(range(len(classes)), names, size=size)
        axes.set_xlabel("predicted")
        axes.set_ylabel("true")
        right = f"{np.trace(counts)} of {counts.sum()} test videos are on the diagonal"
        return to_svg(figure, f"Matrix of true against predicted classes: {right}")


def embedding_map(features: NDArray[np.float32], labels: NDArray[np.str_]) -> str:
    """Videos in the plane, by class; see :func:`sora_video.base.figures.embedding_map`.

    Args:
        features: (N, D).
        labels: (N,) classes.

    Returns:
        An ``<svg>`` element.
    """
    count = f"{len(labels)} videos of {len(np.unique(labels))} classes"
    with mpl.rc_context(STYLE):
        alt = f"Map of {count}: a dot a video, those that the encoder finds alike near each other"
        return to_svg(figures.embedding_map(features, labels), alt)
