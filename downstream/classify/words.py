"""Classifying by words alone: texts of the classes are the weights of a linear head; nothing is trained."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import normalize

from sora_video.base.errors import ConfigError, LabelsError
from sora_video.pretrain.encoders.frozen import VideoEncoder
from sora_video.pretrain.encoders.load import load_encoder
from sora_video.pretrain.encoders.spec import absolute_spec
from sora_video.pretrain.video.corpus import Corpus, Source, open_corpus

from .calibrate import score_logits
from .head import Head
from .kept import BESIDE, STOPPED, Kept
from .parts import HeadConfig, PoolConfig
from .predict import classify_corpus, classify_videos
from .store import Classifier, TaskHead, load_classifier
from .values import Predictions

__all__ = ["PROMPTS", "ByWords", "classify_by_words", "words_classifier"]

PROMPTS = ("a video of {}", "a photo of {}")
"""What is said of a class, whose name stands in place of the braces."""


class ByWords(NamedTuple):
    """Videos that were classified by words."""

    predictions: Predictions
    scores: Mapping[str, float]
    """Of videos whose true class is known and among the labels: see :func:`.calibrate.score_logits`. Empty
    where there are none."""
    unknown: tuple[str, ...]
    """True classes that are not among the labels; their videos are not scored."""
    beside: Mapping[str, float]
    """Scores of a trained classifier on the same videos; empty where none was named."""


def classify_by_words(
    source: Source,
    labels: Sequence[str],
    model: str | Path,
    *,
    prompts: Sequence[str] = PROMPTS,
    column: str = "label",
    smooth_s: float | None = None,
    class_folders: bool = False,
    beside: str | Path | None = None,
    keep: Path | None = None,
) -> ByWords:
    """Classify videos by the names of classes, without any labelled video.

    Args:
        source: what :func:`sora_video.pretrain.video.corpus.open_corpus` takes.
        labels: names of the classes, two or more.
        model: spec of an encoder with a text tower.
        prompts: see :func:`words_classifier`.
        column: of true classes; the answers are scored where the source has it.
        smooth_s: see :func:`.predict.classify_videos`.
        class_folders: whether the source is a folder with one folder a class.
        beside: folder of a trained classifier of this column, to score on the same videos, which it must not
            have been trained on; None: none.
        keep: folder in which a call that is interrupted leaves what it has, and from which the same call goes
            on; None: nowhere.

    Returns:
        The same predictions as a trained classifier gives, and their scores.

    Raises:
        ConfigError: the encoder has no text tower, or labels or prompts are wrong.
        CorpusError: no video can be read.
        LabelsError: there is no classifier to stand beside, or it has no such column.
    """
    encoder, corpus = load_encoder(model), open_corpus(source, class_folders=class_folders)
    classifier = words_classifier(encoder, labels, prompts, column, absolute_spec(model))
    trained = None if beside is None else classes_of(load_classifier(beside), column)
    predictions = classify_corpus(classifier, encoder, corpus, smooth_s, keep and keep / STOPPED)
    names = classifier.tasks[0].classes
    known = {video.columns[column] for video in predictions.videos if video.columns.get(column)}
    scores = score(predictions, names, names, column)
    others: dict[str, float] = {}
    if trained is not None and beside is not None:
        with keeping(predictions, classifier, corpus, keep):
            answers = classify_videos(beside, corpus, smooth_s=smooth_s, keep=keep and keep / BESIDE)
        others = score(answers, trained, names, column)
    return ByWords(predictions, scores, tuple(sorted(known - set(names))), others)


@contextmanager
def keeping(
    predictions: Predictions, classifier: Classifier, corpus: Corpus, keep: Path | None
) -> Iterator[None]:
    """Keep predictions where the block is interrupted."""
    try:
        yield
    except KeyboardInterrupt:
        if keep:
            Kept(keep / STOPPED, classifier, predictions.smooth_s).write(corpus, predictions.videos)
        raise


def words_classifier(
    encoder: VideoEncoder,
    labels: Sequence[str],
    prompts: Sequence[str] = PROMPTS,
    column: str = "label",
    model: str | None = None,
) -> Classifier:
    """A classifier made of words.

    The chance of class k for a video of feature f is softmax_k(f · w_k / T), with w_k the normalised mean
    over the prompts of the normalised embeddings of their texts, and T the temperature that the encoder was
    trained with (Radford et al., Learning Transferable Visual Models From Natural Language Supervision,
    2021).

    Args:
        encoder: has a text tower.
        labels: names of the classes, two or more.
        prompts: texts in which ``{}`` stands for the name of a class; their embeddings are averaged.
        column: name of the task.
        model: spec of the encoder, a hint that is kept with the classifier.

    Returns:
        The classifier; it can be saved, and used as any other.

    Raises:
        ConfigError: the encoder has no text tower, a label is named twice or there are fewer than two, or a
            prompt has no place for the label.
    """
    names = [label.strip() for label in labels]
    if len(set(names)) < max(2, len(names)) or not all(names):
        raise ConfigError(f"labels {list(labels)}: must be two or more, none of them twice or empty")
    wrong = [prompt for prompt in prompts if "{}" not in prompt]
    if wrong or not prompts:
        raise ConfigError(f"prompt {wrong[0] if wrong else ''!r}: must have {{}} where the label goes")
    head = linear_head(class_weights(encoder, names, prompts))
    task = TaskHead(
        name=column,
        classes=tuple(names),
        counts=(0,) * len(names),
        head=head,
        temperature=encoder.words.temperature,
        strength=0.0,
        scores={},
    )
    return Classifier(
        tasks=(task,),
        head=HeadConfig.resolve({}),
        pool=PoolConfig.resolve({}),
        dim=encoder.dim,
        fingerprint=encoder.fingerprint,
        model=model,
        protocol={"prompts": list(prompts), "features": "embeddings of texts; nothing was trained"},
    )


def class_weights(encoder: VideoEncoder, names: Sequence[str], prompts: Sequence[str]) -> Tensor:
    """(K, D) weights, of length 1."""
    texts = [prompt.replace("{}", name) for name in names for prompt in prompts]
    embedded = torch.from_numpy(encoder.embed_text(texts))
    return normalize(embedded.view(len(names), len(prompts), -1).mean(1), dim=1)


def linear_head(weights: Tensor) -> Head:
    """A linear head of (K, D) weights, on pooled slices as they are."""
    classes, dim = weights.shape
    head = Head(dim, classes, HeadConfig.resolve({}), PoolConfig.resolve({}))
    head.load_state_dict({**head.state_dict(), "body.weight": weights})
    return head.eval().requires_grad_(False)


def classes_of(classifier: Classifier, column: str) -> tuple[str, ...]:
    """The classes of one column of a trained classifier.

    Raises:
        LabelsError: it has no such column.
    """
    by_name = {task.name: task.classes for task in classifier.tasks}
    if column not in by_name:
        raise LabelsError(
            f"column {column!r}: the classifier beside has {', '.join(by_name)}; name one of these"
        )
    return by_name[column]


def score(
    predictions: Predictions, classes: Sequence[str], labels: Sequence[str], column: str
) -> dict[str, float]:
    """Scores of the videos whose true class is known, one of the labels, and one that could be answered."""
    among = set(classes) & set(labels)
    scored = [video for video in predictions.videos if video.columns.get(column) in among]
    if not scored:
        return {}
    chances = np.array([[video.answers[column].chances[name] for name in classes] for video in scored])
    codes = np.array([classes.index(video.columns[column]) for video in scored], np.int64)
    return score_logits(np.log(np.maximum(chances, 1e-30)), codes)
