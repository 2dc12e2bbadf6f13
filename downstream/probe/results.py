"""What a probe measured, as plain data; table, JSON and page are views of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sora_video.pretrain.video.corpus import Video
from sora_video.pretrain.video.quarantine import Failure

from .plain import class_table, plain_scores
from .probes import PROBES, Prediction
from .scores import FeatureScores
from .split import Split
from .table import headline_row

__all__ = ["Results"]


@dataclass(frozen=True, kw_only=True)
class Results:
    """All scores of a probe, and what is needed to believe them."""

    scores: tuple[FeatureScores, ...]
    """Of pretrained, untrained and pixel features, in this order."""
    split: Split
    videos: tuple[Video, ...]
    """(N,) the rows of the split."""
    features: NDArray[np.float32]
    """(N, D) features of all rows by the first pretrained encoder."""
    centre: bool = False
    """Whether retrieval subtracts the mean of the training rows first."""
    failures: tuple[Failure, ...] = ()
    fingerprints: tuple[str, ...] = ()
    """Of the pretrained encoders."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """What is needed to repeat the measurement, by name."""

    @property
    def shown(self) -> Prediction:
        """The predictions that a report shows in detail: of the first probe and the first encoder."""
        return next(iter(self.scores[0].predictions.values()))[0]

    def table(self) -> list[dict[str, Any]]:
        """Rows to print: the headline metric by protocol, and retrieval, of each features; then chance."""
        rows = [headline_row(each, self.split.headline) for each in self.scores]
        return [*rows, {"features": "chance", **dict.fromkeys(PROBES.names(), self.split.chance)}]

    def as_json(self) -> dict[str, Any]:
        """Scores, choices and settings as plain values."""
        return {
            "table": self.table(),
            "headline": self.split.headline,
            "chance": self.split.chance,
            "families": {scores.name: plain_scores(scores) for scores in self.scores},
            "classes": class_table(self.shown, self.split),
            "protocol": dict(self.settings),
            "fingerprint": self.fingerprints[0],
            "fingerprints": list(self.fingerprints),
            "unreadable": [vars(failure) for failure in self.failures],
        }
