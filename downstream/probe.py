"""The probe: how much do frozen features say of labels, beside an untrained encoder and raw pixels."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sora_video.configs.errors import LabelsError
from sora_video.pretrain.corpus import Corpus, Source, open_corpus
from sora_video.pretrain.embed import VideoEncoder, load_encoder, random_encoder
from sora_video.pretrain.quarantine import Failure

from .features import pixel_features, video_features
from .heads import knn_predict, linear_predict, nearest_predict
from .protocols import Labels, Split, balanced_accuracy, hold_out, read_split, recall_at

__all__ = ["Probe", "Scores", "linear_probe", "probe_encoder", "score_features"]

RANDOM_DRAWS = 3


@dataclass(frozen=True)
class Scores:
    """What one set of features reaches on the test rows; all in [0, 1]."""

    linear: float
    """Balanced accuracy of the linear probe."""
    knn: float
    """Balanced accuracy of the weighted vote."""
    recall: dict[str, float]
    """R@k of retrieval, queries from test, gallery from train."""

    def row(self) -> dict[str, float]:
        """Flat, for tables."""
        return {"linear": self.linear, "knn": self.knn, **self.recall}


@dataclass(frozen=True, kw_only=True)
class Probe:
    """A probe's outcome, with all that is needed to believe it."""

    pretrained: Scores
    random: tuple[Scores, ...]
    """Untrained encoders of the same shape, one a draw of the weights."""
    mean_frame: float
    """Balanced accuracy of the nearest neighbour by grey mean frame."""
    motion_map: float
    """The same by mean motion map."""
    split: Split
    predicted: Labels
    """(number of test rows,) classes by the linear probe on pretrained features."""
    features: NDArray[np.float32]
    """(N, D) pretrained features of all rows."""
    failures: tuple[Failure, ...]
    fingerprint: str

    @property
    def chance(self) -> float:
        """Balanced accuracy of guessing."""
        return 1 / len(self.split.classes)

    def table(self) -> list[dict[str, Any]]:
        """Rows to print: pretrained, random (mean over draws), pixels, chance."""
        rows = [scores.row() for scores in self.random]
        random = {key: float(np.mean([row[key] for row in rows])) for key in rows[0]}
        spread = float(np.std([row["linear"] for row in rows]))
        return [
            {"features": "pretrained", **self.pretrained.row()},
            {"features": f"random init ({len(rows)} draws, linear ± {spread:.3f})", **random},
            {"features": "pixels: mean frame, 1-NN", "knn": self.mean_frame},
            {"features": "pixels: motion map, 1-NN", "knn": self.motion_map},
            {"features": "chance", "linear": self.chance, "knn": self.chance},
        ]

    def as_json(self) -> dict[str, Any]:
        """The outcome and its protocol as plain values."""
        return {
            "table": self.table(),
            "random": [scores.row() for scores in self.random],
            "protocol": {
                "metric": "balanced accuracy (linear, knn); fraction of queries (R@k)",
                "train": len(self.split.train),
                "test": len(self.split.test),
                "classes": self.split.classes,
                "selection": "C and k by 5 group-safe folds of the training rows",
                "features": "mean of slice embeddings, L2-normalised",
                "split": self.split.source,
            },
            "fingerprint": self.fingerprint,
            "unreadable": [vars(failure) for failure in self.failures],
        }


def linear_probe(
    labels: Source,
    model: str | Path,
    *,
    label: str = "label",
    group: str = "group",
    split: str = "split",
    class_folders: bool = False,
    by: str | None = None,
) -> Probe:
    """Probe a finished run on labelled videos.

    Args:
        labels: a manifest with label and split columns.
        model: the run folder.
        label: column of the class.
        group: column of the group that may not cross the split.
        split: column that says train or test.
        class_folders: ``labels`` is a folder with one folder a class, of which a third is held out.
        by: see :class:`sora_video.pretrain.embed.VideoEncoder`.

    Returns:
        Linear probe, kNN and retrieval beside the untrained encoder and the pixel baselines.

    Raises:
        ConfigError: the encoder has no such sense.
        LabelsError: the labels or the split cannot be used.
        RunError: there is no finished run.
    """
    corpus = open_corpus(labels, class_folders=class_folders)
    if class_folders:
        corpus = hold_out(corpus)
    rows = read_split(corpus, label=label, group=group, split=split)
    if class_folders:
        rows = replace(rows, source="a third of each class drawn with seed 0; no groups are known")
    return probe_encoder(load_encoder(model, by=by), corpus, rows)


def probe_encoder(encoder: VideoEncoder, corpus: Corpus, split: Split) -> Probe:
    """Probe an encoder on a corpus that has been split; see :func:`linear_probe`."""
    features, failures = video_features(encoder, corpus)
    failed = {failure.video_id for failure in failures}
    split = without_rows(split, np.array([video.video_id in failed for video in corpus.videos]))
    draws = range(1, RANDOM_DRAWS + 1)
    untrained = [
        video_features(random_encoder(encoder.config, draw=draw, by=encoder.by), corpus)[0] for draw in draws
    ]
    pixels = pixel_features(corpus)
    truth = split.labels[split.test]
    scores, predicted = score_features(features, split)
    return Probe(
        pretrained=scores,
        random=tuple(score_features(one, split)[0] for one in untrained),
        mean_frame=balanced_accuracy(truth, nearest_predict(pixels.mean_frame, split)),
        motion_map=balanced_accuracy(truth, nearest_predict(pixels.motion_map, split)),
        split=split,
        predicted=predicted,
        features=features,
        failures=failures,
        fingerprint=encoder.fingerprint,
    )


def score_features(
    features: NDArray[np.float32], split: Split, ranks: Sequence[int] = (1, 5, 10)
) -> tuple[Scores, Labels]:
    """Scores of one set of features, and the linear probe's predictions for the test rows."""
    truth = split.labels[split.test]
    predicted = linear_predict(features, split)
    recall = recall_at(features[split.train], split.labels[split.train], features[split.test], truth, ranks)
    return Scores(
        balanced_accuracy(truth, predicted),
        balanced_accuracy(truth, knn_predict(features, split)),
        dict(recall),
    ), predicted


def without_rows(split: Split, unreadable: NDArray[np.bool_]) -> Split:
    """The split without videos that could not be read.

    Raises:
        LabelsError: a side has nothing left.
    """
    train, test = (rows[~unreadable[rows]] for rows in (split.train, split.test))
    if len(set(split.labels[train].tolist())) < 2 or len(test) == 0:
        raise LabelsError("too few labelled videos can be read; run `sora scan` on the manifest")
    return replace(split, train=train, test=test)
