"""How well a run's embeddings separate classes, measured during training."""

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
from sora_video.pretrain.encoders.entries import pool
from sora_video.pretrain.encoders.frozen import VideoEncoder, random_encoder
from sora_video.pretrain.encoders.neighbours import vote
from sora_video.pretrain.encoders.registry import Encoder
from sora_video.pretrain.video.corpus import Corpus, open_corpus
from sora_video.pretrain.video.spelling import one_spelling

from ..sampler import EpochSampler

__all__ = ["Look", "Monitor", "knn_score", "make_monitor"]

NEIGHBOURS = 5


@dataclass(frozen=True)
class Look:
    """An encoder's features of the set's readable videos, and their score."""

    features: NDArray[np.float32]
    """(N, D) mean slice embedding of each video, L2-normalised."""
    labels: NDArray[np.str_]
    """(N,) classes."""
    knn: float
    """See :func:`knn_score`."""


class Monitor:
    """A small labelled set that a run is evaluated on; nothing is learnt from it.

    Its videos are decoded again for each evaluation, which costs time but no memory.

    Args:
        source: the set, see :func:`sora_video.pretrain.video.corpus.open_corpus`; where no video has a label,
            the first folder below the root is its label.
        config: all settings of the run.
        device: what embeds it.
        warn: is called with a line for each video that is left out, and for an evaluation that fails.

    Raises:
        ConfigError: the set is missing, or the videos that can be read do not allow a vote.
    """

    def __init__(
        self, source: str, config: PretrainConfig, device: torch.device, warn: Callable[[str], None]
    ) -> None:
        self.name = f"tracking.monitor={source}"
        self.config, self.device, self.warn = config, device, warn
        self.last: Look | None = None
        """The last evaluation; None before the first, and after one that failed."""
        try:
            self.corpus = labelled(source)
            self.untrained = self.measure(random_encoder(config, str(device)))
        except (CorpusError, LabelsError) as error:
            raise ConfigError(f"{self.name}: {error}") from error

    def due(self, done: int, sampler: EpochSampler) -> bool:
        """Whether to measure now.

        Args:
            done: steps done.
            sampler: the run's steps per epoch and in all.
        """
        every = self.config.tracking.monitor_every * sampler.steps_per_epoch
        return done % every == 0 or done == sampler.total_steps

    def look(self, network: Encoder) -> Look | None:
        """Measure a network that is being trained.

        A copy does the work, so that the network's mode, statistics and compiled code are left alone.

        Args:
            network: the encoder.

        Returns:
            What was measured; None where that failed, after a warning.
        """
        try:
            self.last = self.measure(VideoEncoder(deepcopy(network), self.config, str(self.device)))
        except (CorpusError, LabelsError, RunError, RuntimeError) as error:
            # Files that went away or readers that were killed are no reason to end a run.
            self.warn(f"{self.name}: {error}")
            self.last = None
        return self.last

    def measure(self, encoder: VideoEncoder) -> Look:
        """Embed the set, and take the vote of all videos that can be read.

        Args:
            encoder: a frozen encoder.

        Raises:
            CorpusError: no video can be read.
            LabelsError: the videos that can be read do not allow a vote.
        """
        embeddings = encoder.embed(self.corpus, progress=False, zeros=True)
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

        Args:
            look: what was measured.
            path: the file; it is replaced if it exists.

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
    """The monitor that a run's config names; None where it names none.

    Args:
        config: all settings of the run.
        device: see :class:`Monitor`.
        warn: see :class:`Monitor`.

    Raises:
        ConfigError: see :class:`Monitor`.
    """
    source = config.tracking.monitor
    return None if source is None else Monitor(source, config, device, warn)


def labelled(source: str) -> Corpus:
    """The videos of a corpus that have a label.

    Raises:
        CorpusError: the corpus is missing or empty.
        LabelsError: it has no labels, labels that look alike, or labels that do not allow a vote.
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
    corpus = one_spelling(corpus, remedy="or name a manifest in which they are joined")
    check(*labels_and_groups(corpus))
    return corpus


def labels_and_groups(corpus: Corpus) -> tuple[NDArray[np.str_], NDArray[np.str_]]:
    """(N,) classes and (N,) groups, within which no video votes; by default each video is a group."""
    labels = [video.columns["label"] for video in corpus.videos]
    groups = [video.columns.get("group", video.video_id) for video in corpus.videos]
    return np.array(labels), np.array(groups)


def check(labels: NDArray[np.str_], groups: NDArray[np.str_]) -> None:
    """Refuse videos that do not allow a vote.

    Raises:
        LabelsError: there are fewer than two classes, or a class has fewer than two groups.
    """
    classes = np.unique(labels).tolist()
    if len(classes) < 2:
        cause = f"all {len(labels)} videos are of class {classes[0]!r}" if classes else "no video is left"
        raise LabelsError(f"{cause}; add videos, a vote needs at least two classes")
    for name in classes:
        class_groups = set(groups[labels == name].tolist())
        if len(class_groups) < 2:
            raise LabelsError(
                f"class {name!r} has only one group ({class_groups.pop()}), and a group does not vote for "
                "itself; "
                "add videos of another group, or leave the class out"
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
        groups: (N,) groups; videos of one group do not vote for each other.
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
