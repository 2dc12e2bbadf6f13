"""The probes of four tasks, on one embedding of all their videos."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from sora_video.downstream.probe.labels import read_split
from sora_video.downstream.probe.quick import score_features
from sora_video.downstream.probe.split import Split
from sora_video.pretrain.encoders.embeddings import Embeddings
from sora_video.pretrain.encoders.entries import pool
from sora_video.pretrain.video.corpus import Corpus, open_corpus

from .real import DATA, TASKS, task_videos

__all__ = ["inner", "probe_tasks"]


def probe_tasks(embeddings: Embeddings, choose: bool) -> list[tuple[float, float, float]]:
    """Linear, kNN and R@1 of each task.

    Args:
        embeddings: of :func:`.real.task_videos`.
        choose: on group-safe folds of the training rows, their mean; or on test rows.
    """
    found = []
    for folder, column in TASKS.values():
        corpus = open_corpus(DATA / folder / "labels.csv")
        split = read_split(corpus, split=column)
        features = pool(of(corpus, embeddings), corpus)
        splits: Sequence[Split] = [inner(split, *pair) for pair in split.pairs] if choose else [split]
        scores = [score_features(features, one)[0] for one in splits]
        found.append(
            tuple(np.mean([(one.linear, one.knn, one.recall["R@1"]) for one in scores], axis=0).tolist())
        )
    return found


def of(corpus: Corpus, embeddings: Embeddings) -> Embeddings:
    """Embeddings under the names that the videos have in a corpus of one data set."""
    whole = {video.path: video.video_id for video in open_corpus(task_videos()).videos}
    names = {whole[video.path]: video.video_id for video in corpus.videos}
    own = embeddings.select(np.isin(embeddings.video_id.astype(str), list(names)))
    return replace(own, video_id=np.array([names[name] for name in own.video_id], dtype=object))


def inner(split: Split, fit: np.ndarray, check: np.ndarray) -> Split:
    """One fold of the training rows as a split of its own."""
    return replace(split, train=split.train[fit], test=split.train[check])
