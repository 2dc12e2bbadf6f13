"""Predictions as files: JSON, CSV, and timelines to look at."""

import csv
import io
from collections import defaultdict
from collections.abc import Mapping, Sequence
from math import floor, log10
from pathlib import Path
from typing import Any

from sora_video.base.errors import ConfigError
from sora_video.base.files import write_json, write_text
from sora_video.base.page import write_page
from sora_video.base.times import clock

from .marks import Mark, marks_of
from .timeline import Span
from .values import Answer, Prediction, Predictions

__all__ = ["FILES", "Drawing", "write_predictions"]

FILES = PREDICTIONS, TABLE, PAGE = "predictions.json", "timeline.csv", "timeline.html"
"""That predictions consist of."""
SHOWN = 100
"""Most videos on the page."""
TICKS = 5
"""Most times below a timeline."""
LATE = 0.85
"""Part of a timeline from which its times stand left of their places."""
NICE_S = (0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400)
"""Seconds between two of them."""
BACKGROUND, UNSURE = "background", "unsure"
"""How a span is drawn that is not drawn in the look of its label."""


class Drawing:
    """How timelines are drawn.

    Args:
        background: labels that are drawn as if nothing happened.
        unsure: spans of a lower confidence are drawn as unsure.

    Raises:
        ConfigError: ``unsure`` is no probability.
    """

    def __init__(self, background: Sequence[str] = (), unsure: float = 0.5) -> None:
        if not 0 <= unsure <= 1:
            raise ConfigError(f"--unsure {unsure:g}: must be a probability, between 0 and 1")
        self.background, self.unsure = frozenset(background), unsure

    def kind(self, span: Span) -> str:
        """How a span is drawn: ``"background"``, ``"unsure"``, or empty for the look of its label."""
        if span.label in self.background:
            return BACKGROUND
        return UNSURE if span.confidence < self.unsure else ""

    def check(self, predictions: Predictions) -> None:
        """Refuse a background label that no answer knows.

        Args:
            predictions: to be drawn.

        Raises:
            ConfigError: there is no such label.
        """
        known = {
            label for video in predictions.videos for one in video.answers.values() for label in one.chances
        }
        if unknown := sorted(self.background - known):
            raise ConfigError(f"--background {unknown[0]}: is no label; choose of {', '.join(sorted(known))}")


def write_predictions(
    predictions: Predictions, folder: Path, drawing: Drawing | None = None, warnings: Sequence[str] = ()
) -> None:
    """Write ``predictions.json``, ``timeline.csv`` (a row a span) and ``timeline.html``.

    Args:
        predictions: of a corpus.
        folder: where to write; made when missing.
        drawing: how timelines are drawn; None: no background, spans below 0.5 unsure.
        warnings: what else the reader must know; videos that could not be read are named by themselves.

    Raises:
        ConfigError: the background is no label.
        StorageError: the disk refused a write.
    """
    drawing = drawing or Drawing()
    drawing.check(predictions)
    write_json(folder / PREDICTIONS, predictions.as_json())
    write_text(folder / TABLE, table(predictions))
    shown = predictions.videos[:SHOWN]
    marks = marks_of(sorted({span.label for span in spans_of(shown)} - drawing.background))
    write_page(
        folder / PAGE,
        __package__,
        "timeline.html",
        warnings=[*warnings, *(failure.told for failure in predictions.failures)],
        title="What happens when",
        lead=f"{len(shown)} of {len(predictions.videos)} videos. A slice's probabilities are averaged over "
        f"{predictions.smooth_s:g} s around its middle; the higher a bar, the surer.",
        calibration=predictions.calibration,
        legend=legend(shown, marks, drawing),
        unsure=f"{drawing.unsure:g}",
        look=look,
        said=said,
        videos=[drawn_video(video, marks, drawing) for video in shown],
    )


def spans_of(videos: Sequence[Prediction]) -> list[Span]:
    """All spans of some videos."""
    return [span for video in videos for answer in video.answers.values() for span in answer.spans]


def table(predictions: Predictions) -> str:
    """The spans as CSV."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("video_id", "task", "start_s", "end_s", "label", "confidence"))
    for video in predictions.videos:
        for name, answer in video.answers.items():
            for span in answer.spans:
                times = (f"{span.start_s:.3f}", f"{span.end_s:.3f}")
                writer.writerow((video.video_id, name, *times, span.label, f"{span.confidence:.4f}"))
    return text.getvalue()


def legend(videos: Sequence[Prediction], marks: dict[str, Mark], drawing: Drawing) -> list[dict[str, Any]]:
    """Each label with its mark and how long it is surely seen, then unsure spans and each background."""
    seconds = defaultdict(float, {("", label): 0.0 for label in marks})
    for span in spans_of(videos):
        kind = drawing.kind(span)
        label = "" if kind == UNSURE else span.label
        seconds[kind, label] += span.end_s - span.start_s
    order = {"": 0, UNSURE: 1, BACKGROUND: 2}
    return [
        {
            "kind": kind,
            "label": label or UNSURE,
            "mark": None if kind else marks[label],
            "seconds": clock(total),
        }
        for (kind, label), total in sorted(seconds.items(), key=lambda item: (order[item[0][0]], item[0][1]))
    ]


def drawn_video(video: Prediction, marks: dict[str, Mark], drawing: Drawing) -> dict[str, Any]:
    """A video as the page shows it."""
    return {
        "name": video.video_id,
        "ticks": ticks(video.start_s, video.end_s),
        "tasks": [drawn_task(video, name, answer, marks, drawing) for name, answer in video.answers.items()],
    }


def drawn_task(
    video: Prediction, name: str, answer: Answer, marks: dict[str, Mark], drawing: Drawing
) -> dict[str, Any]:
    """One task's timeline of a video."""
    length_s = max(video.end_s - video.start_s, 1e-9)
    return {
        "name": name,
        "label": answer.label,
        "confidence": f"{answer.confidence:.2f}",
        "bars": [
            {
                "left": f"{100 * (span.start_s - video.start_s) / length_s:.4f}%",
                "width": f"{100 * (span.end_s - span.start_s) / length_s:.4f}%",
                "height": f"{30 + 70 * span.confidence:.0f}%",
                "kind": drawing.kind(span),
                "mark": marks.get(span.label),
                "label": span.label,
                "confidence": f"{span.confidence:.2f}",
                "start": clock(span.start_s),
                "end": clock(span.end_s),
            }
            for span in answer.spans
        ],
    }


def look(shown: Mapping[str, Any]) -> str:
    """The classes of the style sheet for a bar, or for an entry of the legend."""
    return str(shown["kind"] or f"mark p{shown['mark'].pattern}")


def said(bar: Mapping[str, Any]) -> str:
    """A bar in words."""
    kind = f" ({bar['kind']})" if bar["kind"] else ""
    return f"{bar['label']}{kind}, confidence {bar['confidence']}, {bar['start']} to {bar['end']}"


def ticks(start_s: float, end_s: float) -> list[dict[str, Any]]:
    """Round times below a timeline, with their places."""
    length_s = max(end_s - start_s, 1e-9)
    step_s = next((step for step in NICE_S if length_s / step <= TICKS), None)
    step_s = step_s or 10 ** floor(log10(length_s))
    first = -int(-start_s // step_s)
    times = [number * step_s for number in range(first, int(end_s // step_s) + 1)]
    return [
        {"left": f"{100 * share:.4f}%", "time": clock(time_s).removesuffix(".0"), "late": share > LATE}
        for time_s in times
        for share in [(time_s - start_s) / length_s]
    ]
