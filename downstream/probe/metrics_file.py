"""``metrics.json``: a probe's numbers and predictions, which ``sora compare`` reads."""

from pathlib import Path
from typing import Any

import numpy as np

from sora_video.base.files import write_json

from .results import Results

__all__ = ["write_metrics"]

DIGITS = 6
"""Kept of scores."""


def write_metrics(results: Results, path: Path, command: str) -> None:
    """Write all numbers, and the prediction of each test row.

    Args:
        results: of a probe.
        path: the JSON file.
        command: repeats it.
    """
    retrievals = [
        {"first": each.first.tolist(), "precision": np.round(each.precision, DIGITS).tolist()}
        for each in results.scores[0].retrievals
    ]
    tested = {
        "test rows": test_rows(results),
        "predictions": predictions(results),
        "retrieval": retrievals,
    }
    write_json(path, {"command": command, **results.as_json(), **tested})


def test_rows(results: Results) -> list[dict[str, Any]]:
    """The test rows: video, span, classes and group."""
    split = results.split
    return [
        {
            "video_id": results.videos[row].video_id,
            "start_s": results.videos[row].start_s,
            "end_s": results.videos[row].end_s,
            "classes": split.names(str(split.labels[row])),
            "group": str(split.groups[row]),
        }
        for row in split.test.tolist()
    ]


def predictions(results: Results) -> dict[str, list[Any]]:
    """By protocol and seed: the class of each test row, or its scores where it may have several."""
    split = results.split
    return {
        protocol: [
            np.round(seed.scores, DIGITS).tolist() if split.multi else seed.labels(split).tolist()
            for seed in seeds
        ]
        for protocol, seeds in results.scores[0].predictions.items()
    }
