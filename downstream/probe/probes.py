"""The probes: classifiers of frozen features, each in a file of its own. A report goes by the first."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sora_video.base.registry import Registry

from .features import Frozen
from .split import Labels, Split

__all__ = ["PROBES", "Prediction", "Probe"]

PROBES = Registry(
    "probe",
    "sora_video.probes",
    {
        "linear": "sora_video.downstream.probe.linear:PROBE",
        "attentive": "sora_video.downstream.probe.attentive:PROBE",
        "knn": "sora_video.downstream.probe.knn:PROBE",
    },
)


@dataclass(frozen=True)
class Prediction:
    """Scores of the test rows by a classifier."""

    scores: NDArray[np.float64]
    """(n, C) for the training classes, in [0, 1]."""
    choice: Mapping[str, float]
    """What cross-validation chose, or the defaults where there are no folds."""

    def labels(self, split: Split) -> Labels:
        """(n,) the classes of greatest score.

        Args:
            split: names the training classes.
        """
        return np.asarray(np.array(split.classes)[self.scores.argmax(1)])


@dataclass(frozen=True)
class Probe:
    """One kind of classifier."""

    predict: Callable[[Frozen, Split], Sequence[Prediction]]
    """Predictions of the test rows, one a seed of the probe; no choice sees a test row."""
    about: str
    """How it is trained, for the protocol."""
    chooses: str
    """What is chosen by folds of the training rows."""
