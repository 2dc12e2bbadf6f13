"""What a probe measured, as plain data; table, JSON and page are views of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sora_video.pretrain.video.corpus import Video
from sora_video.pretrain.video.quarantine import Failure

from .plain import class_table, plain_scores
from .scores import FeatureScores
from .split import Labels, Split
from .table import headline_table

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
    def headline(self) -> str:
        """The metric that choices and tables go by."""
        return self.split.headline

    @property
    def chance(self) -> float:
        """The headline metric of guessing, in [0, 1]."""
        return self.split.chance

    @property
    def predicted(self) -> Labels:
        """(number of test rows,) classes by the linear probe on the first encoder's features."""
        return self.scores[0].predictions["linear"][0].labels(self.split)

    def table(self) -> list[dict[str, Any]]:
        """Rows to print: pretrained, untrained, pixels, chance."""
        return headline_table(self.scores, self.headline, self.chance)

    def as_json(self) -> dict[str, Any]:
        """Scores, choices and settings as plain values."""
        return {
            "table": self.table(),
            "headline": self.headline,
            "families": {scores.name: plain_scores(scores) for scores in self.scores},
            "classes": class_table(self.scores[0].predictions["linear"][0], self.split),
            "protocol": dict(self.settings),
            "fingerprint": self.fingerprints[0],
            "fingerprints": list(self.fingerprints),
            "unreadable": [vars(failure) for failure in self.failures],
        }
