"""How well classes can be told by a run's embeddings, while it lasts."""

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from sora_video.base.errors import ConfigError, CorpusError, LabelsError, RunError
from sora_video.base.files import atomic_path
from sora_video.configs.schema import PretrainConfig
from sora_video.pretrain.encoders.embeddings import pool
from sora_video.pretrain.encoders.frozen import VideoEncoder, random_encoder
from sora_video.pretrain.encoders.neighbours import vote
from sora_video.pretrain.encoders.registry import Encoder
from sora_video.pretrain.video.corpus import Corpus, open_corpus

from ..sampler import EpochSampler

__all__ = ["Look", "Monitor", "knn_score", "make_monitor"]

NEIGHBOURS = 5


@dataclass(frozen=True)
class Look:
    """What an encoder makes of the set's readable videos."""

    features: NDArray[np.float32]
    """(N, D) mean slice embedding of each video, L2-normalised."""
    labels: NDArray[np.str_]
    """(N,) classes."""
    knn: float
    """See :func:`knn_score`."""


class Monitor:
    """A small labelled set that nothing is learnt from.

    Its videos are decoded anew for each look, so that a look costs time but no memory.

    Args:
        source: the set, see :func:`sora_video.pretrain.video.corpus.open_corpus`; where no video has a label,
            the first folder below the root is it.
        config: all settings of the run.
        device: where it is embedded.
        warn: is told of videos that are left out, and of looks that fail.

    Raises:
        ConfigError: the set is not there, or no vote can be held over what of it can be read.
    """

    def __init__(
        self, source: str, config: PretrainConfig, device: torch.device, warn: Callable[[str], None]
    ) -> None:
        self.name = f"tracking.monitor={source}"
        self.config, self.device, self.warn = config, device, warn
        self.last: Look | None = None
        """The last look; None before the first, and after one that failed."""
        try:
            self.corpus = labelled(source)
            self.untrained = self.measure(random_encoder(config, str(device)))
        except (CorpusError, LabelsError) as error:
            raise ConfigError(f"{self.name}: {error}") from error

    def due(self, done: int, sampler: EpochSampler) -> bool:
        """Whether to look after so many steps."""
        every = self.config.tracking.monitor_every * sampler.steps_per_epoch
        return done % every == 0 or done == sampler.total_steps

    def look(self, network: Encoder) -> Look | None:
        """Look at the set with a network that is being trained; None where that fails.

        A copy does the work, so that the network's mode, statistics and compiled code are left alone.
        """
        try:
            self.last = self.measure(VideoEncoder(deepcopy(network), self.config, str(self.device)))
        except (CorpusError, LabelsError, RunError, RuntimeError) as error:
            # Files that went away or readers that were killed are no reason to end a run.
            self.warn(f"{self.name}: {error}")
            self.last = None
        return self.last

    def measure(self, encoder: VideoEncoder) -> Look:
        """Embed the set, and hold the vote over all that can be read."""
        embeddings = encoder.embed(self.corpus, progress=False)
        features, read = pool(embeddings, self.corpus), set(embeddings.videos())
        rows = np.array([video.video_id in read for video in self.corpus.videos])
        rows &= np.isfinite(features).all(axis=1)
        for failure in embeddings.failures:
            self.warn(f"{self.name}: {failure.video_id} is left out: {failure.reason}")
        labels, groups = (column[rows] for column in labels_and_groups(self.corpus))
        check(labels, groups)
        return Look(features[rows], labels, knn_score(features[rows], labels, groups))

    def draw_map(self, look: Look, path: Path) -> None:
        """Write a map of the set's videos as PNG.

        Raises:
            StorageError: the disk is full.
        """
        import matplotlib as mpl

        from sora_video.base.figures import STYLE, embedding_map

        chance = 1 / len(np.unique(look.labels))
        title = f"kNN {look.knn:.2f} (untrained {self.untrained.knn:.2f}, chance {chance:.2f})"
        figure = embedding_map(look.features, look.labels)
        with mpl.rc_context(STYLE), atomic_path(path) as beside:
            figure.axes[0].set_title(title, fontsize="medium")
            figure.savefig(beside, dpi=150)


def make_monitor(config: PretrainConfig, device: torch.device, warn: Callable[[str], None]) -> Monitor | None:
    """The monitor that a run's config asks for, if any; see :class:`Monitor`."""
    source = config.tracking.monitor
    return None if source is None else Monitor(source, config, device, warn)


def labelled(source: str) -> Corpus:
    """The videos of a corpus that have a label.

    Raises:
        CorpusError: there is no such corpus.
        LabelsError: it has no labels, or none that a vote can be held over.
    """
    corpus = open_corpus(source)
    if not any("label" in video.columns for video in corpus.videos):
        try:
            corpus = open_corpus(corpus, class_folders=True)
        except CorpusError as error:
            raise LabelsError(
                f"no video has a label ({error}); name a manifest with a column label, or a folder of class "
                "folders"
            ) from error
    corpus = Corpus(corpus.root, tuple(video for video in corpus.videos if "label" in video.columns))
    check(*labels_and_groups(corpus))
    return corpus


def labels_and_groups(corpus: Corpus) -> tuple[NDArray[np.str_], NDArray[np.str_]]:
    """(N,) classes, and what (N,) videos may not vote for each other; one without a group is its own."""
    labels = [video.columns["label"] for video in corpus.videos]
    groups = [video.columns.get("group", video.video_id) for video in corpus.videos]
    return np.array(labels), np.array(groups)


def check(labels: NDArray[np.str_], groups: NDArray[np.str_]) -> None:
    """Refuse videos that no vote can be held over.

    Raises:
        LabelsError: there are fewer than two classes, or one of them has no vote of another group to expect.
    """
    classes = np.unique(labels).tolist()
    if len(classes) < 2:
        found = f"all {len(labels)} videos are of class {classes[0]!r}" if classes else "no video is left"
        raise LabelsError(f"{found}; add videos, a vote needs two classes or more")
    for name in classes:
        own = set(groups[labels == name].tolist())
        if len(own) < 2:
            raise LabelsError(
                f"class {name!r} has one group only ({own.pop()}), and a group does not vote for itself; "
                "add videos of another, or leave the class out"
            )


def knn_score(
    features: NDArray[np.float32],
    labels: NDArray[np.str_],
    groups: NDArray[np.str_],
    neighbours: int = NEIGHBOURS,
) -> float:
    """Balanced accuracy of the vote of each video's nearest neighbours in other groups.

    Args:
        features: (N, D) L2-normalised.
        labels: (N,) classes.
        groups: (N,) what may not vote for each other.
        neighbours: how many vote, k; see :func:`sora_video.pretrain.encoders.neighbours.vote`.

    Returns:
        Mean recall over the classes, in [0, 1].
    """
    from sklearn.metrics import balanced_accuracy_score  # takes seconds that no other run need spend

    similarity = features @ features.T
    similarity[groups[:, None] == groups] = -np.inf
    classes, codes = np.unique(labels, return_inverse=True)
    predicted = vote(similarity, np.eye(len(classes))[codes], neighbours)
    return float(balanced_accuracy_score(codes, predicted))
