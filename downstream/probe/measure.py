"""From features and a split to :class:`.results.Results`."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from sora_video.pretrain.video.corpus import Video
from sora_video.pretrain.video.quarantine import Failure

from .features import Frozen
from .pixels import PixelFeatures
from .probes import Prediction
from .results import Results
from .scores import score_frozen, score_pixels
from .split import Split

__all__ = ["Candidate", "measure"]


class Candidate(NamedTuple):
    """One kind of encoder to measure."""

    name: str
    frozen: Sequence[Frozen]
    """Features of all rows, one a seed."""
    tuned: Sequence[Prediction] = ()
    """Predictions of the test rows after fine-tuning, where that is wanted."""


def measure(
    split: Split,
    videos: tuple[Video, ...],
    candidates: Sequence[Candidate],
    pixels: PixelFeatures,
    *,
    centre: bool = False,
    failures: tuple[Failure, ...] = (),
    fingerprints: tuple[str, ...] = (),
    settings: Mapping[str, Any],
) -> Results:
    """Score every kind of features on a split by every protocol.

    Args:
        split: N rows, checked.
        videos: (N,) the rows.
        candidates: the pretrained encoders first, then the untrained ones.
        pixels: (N, D) pixel features.
        centre: whether retrieval subtracts the mean of the training rows first.
        failures: videos that could not be read.
        fingerprints: of the pretrained encoders.
        settings: what is needed to repeat the measurement.

    Returns:
        All scores, and what is needed to believe them.
    """
    learnt = [
        score_frozen(each.name, each.frozen, split, centre=centre, tuned=each.tuned) for each in candidates
    ]
    return Results(
        scores=(
            *learnt,
            score_pixels("pixels: mean frame (knn: 1-NN)", pixels.mean_frame, split),
            score_pixels("pixels: motion map (knn: 1-NN)", pixels.motion_map, split),
        ),
        split=split,
        videos=videos,
        features=candidates[0].frozen[0].pooled,
        centre=centre,
        failures=failures,
        fingerprints=fingerprints,
        settings=settings,
    )
