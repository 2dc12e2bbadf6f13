"""Predictions as files: JSON, CSV, and timelines to look at."""

import csv
import io
from collections.abc import Sequence
from pathlib import Path

from sora_video.base.files import write_json, write_text
from sora_video.base.page import write_page
from sora_video.base.times import clock

from .timeline import Span
from .values import Predictions

__all__ = ["FILES", "write_predictions"]

FILES = PREDICTIONS, TABLE, PAGE = "predictions.json", "timeline.csv", "timeline.html"
"""That predictions consist of."""
SHOWN = 100
"""Most videos on the page."""
COLOURS = ("#2f6fde", "#c2573a", "#3f9b6c", "#8a5cc2", "#c79a2b", "#3aa6b9", "#b5488d", "#6b7f2a", "#7a6a5c")


def write_predictions(predictions: Predictions, folder: Path) -> None:
    """Write ``predictions.json``, ``timeline.csv`` (a row a span) and ``timeline.html``.

    Args:
        predictions: of a corpus.
        folder: where to write; made when missing.

    Raises:
        StorageError: the disk refused a write.
    """
    write_json(folder / PREDICTIONS, predictions.as_json())
    write_text(folder / TABLE, table(predictions))
    shown = predictions.videos[:SHOWN]
    labels = sorted(
        {span.label for video in shown for answer in video.answers.values() for span in answer.spans}
    )
    colour = {label: COLOURS[number % len(COLOURS)] for number, label in enumerate(labels)}
    write_page(
        folder / PAGE,
        __package__,
        "timeline.html",
        title="What happens when",
        lead=f"{len(shown)} of {len(predictions.videos)} videos. A slice's probabilities are averaged over "
        f"{predictions.smooth_s:g} s around its middle; the stronger a colour, the surer.",
        colours=colour,
        videos=[
            {
                "name": video.video_id,
                "end": clock(video.end_s),
                "tasks": [
                    {
                        "name": name,
                        "label": answer.label,
                        "confidence": answer.confidence,
                        "bars": bars(answer.spans, colour, video.end_s - video.start_s),
                    }
                    for name, answer in video.answers.items()
                ],
            }
            for video in shown
        ],
    )


def table(predictions: Predictions) -> str:
    """The spans as CSV."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("video", "task", "start_s", "end_s", "label", "confidence"))
    for video in predictions.videos:
        for name, answer in video.answers.items():
            for span in answer.spans:
                times = (f"{span.start_s:.3f}", f"{span.end_s:.3f}")
                writer.writerow((video.video_id, name, *times, span.label, f"{span.confidence:.4f}"))
    return text.getvalue()


def bars(spans: Sequence[Span], colour: dict[str, str], duration_s: float) -> list[dict[str, str]]:
    """Width, colour, strength and caption of each span."""
    return [
        {
            "width": f"{100 * (span.end_s - span.start_s) / max(duration_s, 1e-9):.4f}%",
            "colour": colour[span.label],
            "opacity": f"{0.25 + 0.75 * span.confidence:.2f}",
            "title": f"{span.label} {span.confidence:.2f}, {clock(span.start_s)} to {clock(span.end_s)}",
            "label": span.label,
        }
        for span in spans
    ]
