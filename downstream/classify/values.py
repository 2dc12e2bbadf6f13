"""What classifying videos gives, as plain values."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sora_video.pretrain.video.quarantine import Failure

from .timeline import Span

__all__ = ["Answer", "Prediction", "Predictions"]


@dataclass(frozen=True)
class Answer:
    """One task's answer for one video."""

    label: str
    confidence: float
    """Calibrated probability of the label, in [0, 1]."""
    chances: dict[str, float]
    """Of every class."""
    spans: tuple[Span, ...]


@dataclass(frozen=True)
class Prediction:
    """A classifier's answers for one video, or for the span of one that a manifest names."""

    video_id: str
    start_s: float
    end_s: float
    answers: dict[str, Answer]
    """By task."""
    columns: Mapping[str, str] = field(default_factory=dict)
    """What the manifest says of it."""

    def as_json(self) -> dict[str, Any]:
        """The same as plain values."""
        tasks = {
            name: {**vars(answer), "spans": [span._asdict() for span in answer.spans]}
            for name, answer in self.answers.items()
        }
        return {"video_id": self.video_id, "start_s": self.start_s, "end_s": self.end_s, "tasks": tasks}


@dataclass(frozen=True)
class Predictions:
    """A classifier's answers for a corpus."""

    videos: tuple[Prediction, ...]
    failures: tuple[Failure, ...]
    smooth_s: float
    fingerprint: str
    calibration: Mapping[str, str] = field(default_factory=dict)
    """By task, what calibration did to held-out rows, in a sentence; of heads that know."""

    def as_json(self) -> dict[str, Any]:
        """The same as plain values."""
        return {
            "videos": [video.as_json() for video in self.videos],
            "unreadable": [vars(failure) for failure in self.failures],
            "smooth_s": self.smooth_s,
            "fingerprint": self.fingerprint,
        }
