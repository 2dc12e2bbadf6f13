"""Pictures of a report, as SVG text that needs no other file."""

from collections.abc import Mapping, Sequence
from io import StringIO
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from sora_video.base import figures
from sora_video.base.figures import ACCENT, INK, MUTED, STYLE, draw

__all__ = ["class_bars", "confusion", "embedding_map", "loss_curve", "score_bars", "to_svg"]

MOST_BARS = 60
MOST_COUNTS = 40
"""Classes up to which a confusion matrix has numbers in its cells."""


def to_svg(figure: Figure) -> str:
    """A picture as an ``<svg>`` element.

    Args:
        figure: the picture.

    Returns:
        The element as text.
    """
    buffer = StringIO()
    figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    text = buffer.getvalue()
    return text[text.index("<svg") :]


def loss_curve(logs: Mapping[str, Sequence[Mapping[str, float]]]) -> str:
    """Loss by epoch, one line a run.

    Args:
        logs: lines of log.jsonl by the run's name.

    Returns:
        An ``<svg>`` element.
    """
    with mpl.rc_context(STYLE):
        figure, axes = draw((5.4, 3.0))
        for number, (name, log) in enumerate(logs.items()):
            epochs, losses = [line["epoch"] for line in log], [line["loss"] for line in log]
            axes.plot(
                epochs, losses, color=ACCENT, alpha=max(0.25, 1 - 0.3 * number), label=name, linewidth=1.5
            )
        axes.set_xlabel("epoch")
        axes.set_ylabel("InfoNCE loss")
        axes.legend(frameon=False)
        return to_svg(figure)


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
    with mpl.rc_context(STYLE):
        figure, axes = draw((5.4, 0.5 * len(scores) + 0.8))
        names = list(scores)[::-1]  # the first on top
        for row, name in enumerate(names):
            values = scores[name]
            colour = ACCENT if name.startswith("pretrained") else MUTED
            axes.barh(row, np.mean(values), color=colour, height=0.6)
            axes.plot(values, [row] * len(values), "o", color=INK, markersize=3)
            axes.text(max(values) + 0.015, row, f"{np.mean(values):.2f}", va="center")
        axes.axvline(chance, color=INK, linewidth=0.8, linestyle=":")
        axes.set_yticks(range(len(names)), names)
        axes.set_xlim(0, 1.08)
        axes.set_xlabel(f"{metric} on the test videos (dotted: chance)")
        return to_svg(figure)


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
        figure, axes = draw((5.4, 0.22 * len(ranked) + 0.8))
        axes.barh(range(len(ranked)), [row[value] for row in ranked], color=ACCENT, height=0.7)
        axes.set_yticks(range(len(ranked)), [f"{row['class']} ({row['test']})" for row in ranked])
        axes.set_xlim(0, 1)
        axes.set_xlabel(f"{value} of the linear probe")
        return to_svg(figure)


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
    side = (0.12 if small else 0.36) * len(classes) + 1.4
    with mpl.rc_context(STYLE):
        figure, axes = draw((side + 0.5, side))
        axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
        for row, column in np.ndindex(*counts.shape):
            if counts[row, column] and not small:
                colour = "white" if shares[row, column] > 0.55 else INK
                axes.text(column, row, str(counts[row, column]), ha="center", va="center", color=colour)
        size = 5 if small else None
        axes.set_xticks(
            range(len(classes)),
            classes,
            rotation=90 if small else 45,
            ha="center" if small else "right",
            size=size,
        )
        axes.set_yticks(range(len(classes)), classes, size=size)
        axes.set_xlabel("predicted")
        axes.set_ylabel("true")
        return to_svg(figure)


def embedding_map(features: NDArray[np.float32], labels: NDArray[np.str_]) -> str:
    """Videos in the plane, coloured by class; see :func:`sora_video.base.figures.embedding_map`.

    Args:
        features: (N, D).
        labels: (N,) classes.

    Returns:
        An ``<svg>`` element.
    """
    with mpl.rc_context(STYLE):
        return to_svg(figures.embedding_map(features, labels))
