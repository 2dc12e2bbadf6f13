"""A probe's folder: ``report.html`` for people, ``metrics.json`` beside it."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sora_video.base.errors import VideoError
from sora_video.base.page import Strip
from sora_video.base.randomness import generator
from sora_video.pretrain.encoders.neighbours import nearest
from sora_video.pretrain.video.corpus import Video
from sora_video.pretrain.video.header import duration_of
from sora_video.pretrain.video.strip import frame_strip

from .figures import class_bars, confusion, embedding_map, score_bars
from .metrics_file import write_metrics
from .plain import class_table
from .report import Answer, write_report
from .results import Results
from .retrieval import centred
from .table import few_table, full_table

__all__ = ["FILES", "write_results"]

FILES = REPORT, METRICS = "report.html", "metrics.json"
"""That the folder of a probe consists of."""
MISTAKES = 8
QUERIES = 8
HITS = 4
MOST_POINTS = 2000
"""Videos on the map; more are drawn from."""


def write_results(results: Results, folder: Path, command: str, warnings: Sequence[str] = ()) -> None:
    """Write the report, and the metrics beside it.

    Args:
        results: of a probe.
        folder: where; made when missing.
        command: repeats it.
        warnings: what else the reader must know; videos that could not be read are named by themselves.
    """
    write_metrics(results, folder / METRICS, command)
    split = results.split
    classes, rows = class_table(results.shown, split), full_table(results.scores)
    write_report(
        folder / REPORT,
        title="How well frozen features predict labels",
        lead=f"{len(split.train)} training, {len(split.test)} test videos, {len(split.classes)} classes; "
        "numbers with their 95 % intervals over the test videos. An encoder that does not beat random "
        "initialisation and raw pixels has learnt nothing worth keeping.",
        table=[row for row in rows if row["protocol"] != "retrieval"],
        tables={"Retrieval": retrieval_of(rows), "Classes": classes, "Few labels": few_table(results.scores)},
        figures=draw_figures(results, classes),
        gallery=gallery(results),
        protocol=facts(results, command),
        mistakes=mistakes(results),
        warnings=[*warnings, *(failure.told for failure in results.failures)],
    )


def retrieval_of(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The rows of retrieval, whose metrics are others than those of labels."""
    found = [row for row in rows if row["protocol"] == "retrieval"]
    return [{name: value for name, value in row.items() if name != "protocol"} for row in found]


def draw_figures(results: Results, classes: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """The pictures of the report as SVG, by caption."""
    split, metric = results.split, "mAP" if results.split.multi else "balanced accuracy"
    first = next(iter(results.scores[0].predictions))
    bars = {each.name: [each.estimates[first][split.headline].value] for each in results.scores}
    figures = {
        "Linear probe": score_bars(bars, split.chance, metric),
        "By class": class_bars(classes, "recall"),
    }
    if not split.multi:
        truth = split.labels[split.test]
        figures["Confusion of the linear probe"] = confusion(
            truth, results.shown.labels(split), split.classes
        )
    return {**figures, "Map of the videos (t-SNE, seed 0)": draw_map(results)}


def facts(results: Results, command: str) -> dict[str, str]:
    """The full protocol as text."""
    chosen = {
        f"chosen for {protocol}": "; ".join(
            ", ".join(f"{name}={value:g}" for name, value in one.choice.items()) for one in predictions
        )
        for protocol, predictions in results.scores[0].predictions.items()
    }
    protocol = {
        name: ", ".join(value) if isinstance(value, list) else str(value)
        for name, value in results.settings.items()
        if value != []
    }
    return {
        **protocol,
        **chosen,
        "fingerprints": ", ".join(results.fingerprints),
        "unreadable": ", ".join(failure.video_id for failure in results.failures) or "none",
        "repeat with": command,
    }


def draw_map(results: Results) -> str:
    """The test and training videos in the plane, by their first class."""
    split = results.split
    rows = np.union1d(split.train, split.test)
    if len(rows) > MOST_POINTS:
        rows = np.sort(generator(0, "map").choice(rows, MOST_POINTS, replace=False))
    names = np.array(split.classes)[split.targets[rows].argmax(1)]
    return embedding_map(results.features[rows], names)


def mistakes(results: Results) -> list[Strip]:
    """Test videos for which a wrong class scores highest above the right ones."""
    split, scores = results.split, results.shown.scores
    truth = split.targets[split.test]
    wrong = np.where(truth, -np.inf, scores)
    right = np.where(truth, scores, np.inf).min(1)
    excess = wrong.max(1) - right
    strips = []
    for row in np.argsort(-excess, kind="stable")[:MISTAKES]:
        if not 0 < excess[row] < np.inf:
            break
        taken = split.classes[int(wrong[row].argmax())]
        note = f"{wrong[row].max():.2f} against {right[row]:.2f}"
        title = f"{split.labels[split.test[row]]}, taken for {taken}"
        with suppress(VideoError):
            strips.append(picture(results.videos[split.test[row]], title, note, good=False))
    return strips


def gallery(results: Results) -> list[Answer]:
    """The first test video of some classes, and the training videos most like it."""
    split, videos = results.split, results.videos
    features = centred(results.features, split) if results.centre else results.features
    answers: list[Answer] = []
    for column in range(len(split.classes)):
        query = split.test[split.targets[split.test, column]][:1]
        if len(query) == 0 or len(answers) == QUERIES:
            continue
        cosines, rows = nearest(features[query], features[split.train], HITS)
        with suppress(VideoError):
            shown = picture(videos[query[0]], f"query, {split.labels[query[0]]}", "test")
            hits = [
                picture(
                    videos[row],
                    str(split.labels[row]),
                    f"similarity {cosine:.3f}",
                    good=share(split.targets, int(query[0]), int(row)),
                )
                for row, cosine in zip(split.train[rows[0]], cosines[0], strict=True)
            ]
            answers.append(Answer(shown, hits))
    return answers


def share(targets: NDArray[np.bool_], row: int, other: int) -> bool:
    """Whether two rows have a class in common."""
    return bool((targets[row] & targets[other]).any())


def picture(video: Video, title: str, note: str, good: bool = True) -> Strip:
    """A video, or its span, as a captioned strip of frames."""
    end_s = video.end_s or duration_of(video.path)
    image = frame_strip(video.path, video.start_s, end_s)
    return Strip(image, f"{title}: {video.video_id}", note, good)
