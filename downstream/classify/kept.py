"""Predictions that a classification which was stopped leaves in a file, for the next call to go on from.

It has ``classifier`` (the SHA-256 of what decides an answer) and ``videos`` by name, each with
the size and time of change of its file and its predictions; it goes when all videos are done.
"""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from sora_video.base.digests import json_sha256
from sora_video.base.files import write_json
from sora_video.pretrain.video.corpus import Corpus

from .store import Classifier
from .timeline import Span
from .values import Answer, Prediction

__all__ = ["BESIDE", "STOPPED", "Kept"]

STOPPED, BESIDE = "stopped.json", "stopped-beside.json"
"""Names of the files: of a classifier, and of one that it is compared with."""


class Kept:
    """The predictions that a file keeps of one classifier.

    Args:
        path: the file; its folder is made when missing, once there is something to keep.
        classifier: what answers.
        smooth_s: width of the smoothing window.
    """

    def __init__(self, path: Path, classifier: Classifier, smooth_s: float) -> None:
        self.path = path.expanduser()
        self.digest = json_sha256([classifier.as_json(), smooth_s])

    def take(self, corpus: Corpus) -> list[Prediction]:
        """The predictions of videos that are as they were; of another classifier, none.

        Args:
            corpus: which videos.
        """
        with suppress(OSError, ValueError, KeyError, TypeError):
            body = json.loads(self.path.read_text(encoding="utf-8"))
            if body["classifier"] == self.digest:
                states = states_of(corpus)
                kept = [one for name, one in body["videos"].items() if states.get(name) == one["file"]]
                return [prediction_from(value) for one in kept for value in one["predictions"]]
        return []

    def write(self, corpus: Corpus, predictions: Sequence[Prediction]) -> None:
        """Keep the predictions of videos all of whose spans are done.

        Args:
            corpus: which videos.
            predictions: in any order.

        Raises:
            StorageError: the disk refused the write.
        """
        states = states_of(corpus)
        spans = Counter(video.video_id for video in corpus.videos)
        done = Counter(prediction.video_id for prediction in predictions)
        videos = {
            name: {
                "file": states[name],
                "predictions": [
                    {**one.as_json(), "columns": dict(one.columns)}
                    for one in predictions
                    if one.video_id == name
                ],
            }
            for name in done
            if done[name] == spans[name]
        }
        write_json(self.path, {"classifier": self.digest, "videos": videos})

    def drop(self) -> None:
        """Forget them, since all videos are done."""
        self.path.unlink(missing_ok=True)


def states_of(corpus: Corpus) -> dict[str, list[Any]]:
    """By video, what tells whether it is as it was: size and time of change of its file, and its spans."""
    states: dict[str, list[Any]] = {}
    for video in corpus.videos:
        with suppress(OSError):
            status = video.path.stat()
            state = states.setdefault(video.video_id, [status.st_size, status.st_mtime_ns])
            state.append([video.start_s, video.end_s])
    return states


def prediction_from(value: Mapping[str, Any]) -> Prediction:
    """A prediction as it was kept."""
    answers = {
        name: Answer(**{**task, "spans": tuple(Span(**span) for span in task["spans"])})
        for name, task in value["tasks"].items()
    }
    return Prediction(value["video_id"], value["start_s"], value["end_s"], answers, value["columns"])
