"""A probe's folder: ``report.html`` for people, ``metrics.json`` for ``sora compare``."""

from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sora_video.base.errors import VideoError
from sora_video.base.files import write_json
from sora_video.base.page import Strip
from sora_video.base.randomness import generator
from sora_video.pretrain.encoders.neighbours import nearest
from sora_video.pretrain.video.corpus import Video
from sora_video.pretrain.video.inspect import probe as probe_video
from sora_video.pretrain.video.strip import frame_strip

from .figures import class_bars, confusion, embedding_map, score_bars
from .metrics import Estimate
from .probe import Probe
from .report import Answer, write_report
from .results import headline
from .retrieval import centred

__all__ = ["cell", "write_metrics", "write_probe"]

MISTAKES = 8
QUERIES = 8
HITS = 4
MOST_POINTS = 2000
"""Videos on the map; more are drawn from."""
DIGITS = 6
"""Kept of scores in metrics.json."""


def write_metrics(probe: Probe, path: Path, command: str) -> None:
    """Write all numbers, and what each test row was taken for.

    Args:
        probe: the outcome.
        path: the JSON file.
        command: repeats it.
    """
    split, videos = probe.split, probe.corpus.videos
    family = probe.families[0]
    predictions = {
        protocol: [
            np.round(one.scores, DIGITS).tolist() if split.multi else one.labels(split).tolist()
            for one in many
        ]
        for protocol, many in family.predictions.items()
    }
    rows = [
        {
            "video_id": videos[row].video_id,
            "start_s": videos[row].start_s,
            "end_s": videos[row].end_s,
            "classes": split.names(str(split.labels[row])),
            "group": str(split.groups[row]),
        }
        for row in split.test.tolist()
    ]
    retrieval = [
        {"first": one.first.tolist(), "precision": np.round(one.precision, DIGITS).tolist()}
        for one in family.retrievals
    ]
    tested = {"test rows": rows, "predictions": predictions, "retrieval": retrieval}
    write_json(path, {"command": command, **probe.as_json(), **tested})


def write_probe(probe: Probe, folder: Path, command: str) -> None:
    """Write the report, and the metrics beside it.

    Args:
        probe: the outcome.
        folder: where; made when missing.
        command: repeats it.
    """
    split = probe.split
    classes = probe.class_table()
    write_metrics(probe, folder / "metrics.json", command)
    figures = {
        "Linear probe": score_bars(
            {
                family.name: [found["linear"][headline(split)].value]
                for family, found in zip(probe.families, probe.estimates, strict=True)
            },
            probe.chance,
            "mAP" if split.multi else "balanced accuracy",
        ),
        "By class": class_bars(classes, "recall"),
    }
    if not split.multi:
        figures["Confusion of the linear probe"] = confusion(
            split.labels[split.test], probe.predicted, split.classes
        )
    figures["Map of the videos (t-SNE, seed 0)"] = draw_map(probe)
    write_report(
        folder / "report.html",
        title="What frozen features say of labels",
        lead=f"{len(split.train)} training, {len(split.test)} test videos, {len(split.classes)} classes; "
        "numbers with their 95 % intervals over the test videos. An encoder that does not beat random "
        "initialisation and raw pixels has learnt nothing worth keeping.",
        table=numbers(probe),
        tables={"Classes": classes, "Few labels": few_rows(probe)},
        figures=figures,
        gallery=gallery(probe),
        protocol=facts(probe, command),
        mistakes=mistakes(probe),
    )


def numbers(probe: Probe) -> list[dict[str, Any]]:
    """Every metric with its interval, a row a protocol and kind of features."""
    rows = []
    for family, found in zip(probe.families, probe.estimates, strict=True):
        for protocol, values in found.items():
            cells = {name: cell(value) for name, value in values.items()}
            rows.append({"features": family.name, "protocol": protocol, **cells})
    return rows


def cell(value: Estimate) -> str:
    """A number with its interval and its deviation over seeds."""
    text = f"{value.value:.3f}"
    if value.low is not None:
        text += f" ({value.low:.3f} to {value.high:.3f})"
    return text if value.spread is None else f"{text} ± {value.spread:.3f}"


def few_rows(probe: Probe) -> list[dict[str, Any]]:
    """Few-shot scores, a row a kind of features."""
    return [
        {
            "features": family.name,
            **{
                f"{shots} a class": f"{np.mean(scores):.3f} ± {np.std(scores, ddof=1):.3f}"
                for shots, scores in family.few.items()
            },
        }
        for family in probe.families
        if family.few
    ]


def facts(probe: Probe, command: str) -> dict[str, str]:
    """The full protocol as text."""
    chosen = {
        f"chosen for {protocol}": "; ".join(
            ", ".join(f"{name}={value:g}" for name, value in one.choice.items()) for one in predictions
        )
        for protocol, predictions in probe.families[0].predictions.items()
    }
    protocol = {
        name: ", ".join(value) if isinstance(value, list) else str(value)
        for name, value in probe.protocol().items()
        if value != []
    }
    return {
        **protocol,
        **chosen,
        "fingerprints": ", ".join(probe.fingerprints),
        "unreadable": ", ".join(failure.video_id for failure in probe.failures) or "none",
        "repeat with": command,
    }


def draw_map(probe: Probe) -> str:
    """The test and training videos in the plane, by their first class."""
    split = probe.split
    rows = np.union1d(split.train, split.test)
    if len(rows) > MOST_POINTS:
        rows = np.sort(generator(0, "map").choice(rows, MOST_POINTS, replace=False))
    names = np.array(split.classes)[split.targets[rows].argmax(1)]
    return embedding_map(probe.features[rows], names)


def mistakes(probe: Probe) -> list[Strip]:
    """Test videos for which something wrong scores highest above what is right."""
    split, scores = probe.split, probe.families[0].predictions["linear"][0].scores
    truth = split.targets[split.test]
    wrong = np.where(truth, -np.inf, scores)
    right = np.where(truth, scores, np.inf).min(1)
    excess = wrong.max(1) - right
    strips = []
    for place in np.argsort(-excess, kind="stable")[:MISTAKES]:
        if not 0 < excess[place] < np.inf:
            break
        taken = split.classes[int(wrong[place].argmax())]
        note = f"{wrong[place].max():.2f} against {right[place]:.2f}"
        title = f"{split.labels[split.test[place]]}, taken for {taken}"
        with suppress(VideoError):
            strips.append(picture(probe.corpus.videos[split.test[place]], title, note, good=False))
    return strips


def gallery(probe: Probe) -> list[Answer]:
    """The first test video of some classes, and the training videos most like it."""
    split, videos = probe.split, probe.corpus.videos
    features = centred(probe.features, split) if probe.centre else probe.features
    answers: list[Answer] = []
    for place in range(len(split.classes)):
        own = split.test[split.targets[split.test, place]]
        if len(own) == 0 or len(answers) == QUERIES:
            continue
        query = own[:1]
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


def share(targets: NDArray[np.bool_], one: int, other: int) -> bool:
    """Whether two rows have a class in common."""
    return bool((targets[one] & targets[other]).any())


def picture(video: Video, title: str, note: str, good: bool = True) -> Strip:
    """A video, or its span, as a captioned strip of frames."""
    end_s = video.end_s or probe_video(video.path).duration_s
    image = frame_strip(video.path, video.start_s, end_s)
    return Strip(image, f"{title}: {video.video_id}", note, good)
