"""Videos to labels, confidences and timelines, chunk by chunk: no frame and no slice is kept."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from sora_video.base.errors import ConfigError, CorpusError, FingerprintError, LabelsError
from sora_video.base.progress import Bar
from sora_video.pretrain.encoders.embeddings import Embeddings
from sora_video.pretrain.encoders.frozen import VideoEncoder
from sora_video.pretrain.encoders.load import load_encoder
from sora_video.pretrain.encoders.rows import why_empty
from sora_video.pretrain.video.corpus import Corpus, Source, Video, open_corpus
from sora_video.pretrain.video.quarantine import Failure

from .kept import Kept
from .store import Classifier, TaskHead, load_classifier
from .timeline import Timeline
from .values import Answer, Prediction, Predictions

__all__ = [
    "classify_corpus",
    "classify_embeddings",
    "classify_videos",
    "encoder_of",
    "predict",
]

SMOOTH_SLICES = 3
"""Default width of the smoothing window in lengths of a slice."""


class View:
    """One task's view of one video while its slices come in."""

    def __init__(self, task: TaskHead, smooth_s: float) -> None:
        self.task, self.state = task, task.head.pool.start()
        self.timeline = Timeline(task.classes, smooth_s)

    def take(
        self, starts: NDArray[np.float64], ends: NDArray[np.float64], vectors: NDArray[np.float32]
    ) -> None:
        """Take (n, D) more slices."""
        slices = torch.from_numpy(vectors)
        self.state = self.task.head.pool.take(self.state, slices)
        chances = self.task.chances(self.task.head.classify(slices))
        for start_s, end_s, row in zip(starts.tolist(), ends.tolist(), chances, strict=True):
            self.timeline.add(start_s, end_s, row)

    def end(self) -> Answer:
        """The answer, all slices seen."""
        feature = self.task.head.pool.end(self.state)
        chances = self.task.chances(self.task.head.classify(feature)).tolist()
        best = int(np.argmax(chances))
        by_class = dict(zip(self.task.classes, chances, strict=True))
        return Answer(self.task.classes[best], chances[best], by_class, self.timeline.end())


@dataclass
class Open:
    """A video whose slices are being read."""

    views: list[View]
    start_s: float
    end_s: float
    slices: int = 0
    """That have an embedding."""


def encoder_of(classifier: Classifier, model: str | Path | None = None) -> VideoEncoder:
    """Load the encoder that a classifier was trained on.

    Args:
        classifier: has its fingerprint.
        model: run folder; None: the one it was trained with.

    Returns:
        The encoder, frozen, by the aspect that it was trained on.

    Raises:
        ConfigError: the run's encoder does not have this aspect.
        FingerprintError: the run's encoder is another one.
        LabelsError: no run is known.
        RunError: there is no finished run.
    """
    model = model or classifier.model
    if model is None:
        raise LabelsError(
            "the classifier was trained on a table of embeddings, not with a run; name the run with --model"
        )
    encoder = load_encoder(model, by=classifier.by)
    if encoder.fingerprint != classifier.fingerprint:
        remedy = "name the run that the classifier was trained with by --model"
        raise FingerprintError(f"model {model}", encoder.fingerprint, classifier.fingerprint, remedy)
    return encoder


def predict(
    classifier: Classifier, encoder: VideoEncoder, source: Source, smooth_s: float
) -> Iterator[Prediction | Failure]:
    """Classify the videos of a corpus one after another, each as soon as it has been read to its end.

    Args:
        classifier: heads on the encoder's slices.
        encoder: the one that the classifier was trained on.
        source: what :func:`sora_video.pretrain.video.corpus.open_corpus` takes.
        smooth_s: width in seconds of the window that probabilities are averaged over.

    Yields:
        A prediction of each video, or why it cannot be read.
    """
    corpus = open_corpus(source)
    opened: dict[int, Open] = {}
    for entry, item in encoder.read(corpus):
        if isinstance(item, Failure):
            opened.pop(entry, None)
            yield item
            continue
        if entry not in opened:
            views = [View(task, smooth_s) for task in classifier.tasks]
            opened[entry] = Open(views, float(item.start_s[0]), 0.0)
        video = opened[entry]
        video.end_s = float(item.end_s[-1])
        rows = encoder.rows(item)
        video.slices += len(rows.vectors)
        for view in video.views if len(rows.vectors) else ():
            view.take(rows.start_s, rows.end_s, rows.vectors)
        if item.last:
            yield closed(video, corpus.videos[entry], why_empty(encoder.by))
            del opened[entry]


def closed(video: Open, known: Video, empty: str) -> Prediction | Failure:
    """The answers for a video that was read to its end; where no slice has an embedding, why it has none."""
    if not video.slices:
        return Failure(known.video_id, empty)
    answers = {view.task.name: view.end() for view in video.views}
    return Prediction(known.video_id, video.start_s, video.end_s, answers, known.columns)


def classify_videos(
    head: str | Path,
    source: Source,
    model: str | Path | None = None,
    smooth_s: float | None = None,
    keep: Path | None = None,
) -> Predictions:
    """Classify videos with a classifier that was written.

    Args:
        head: the classifier's folder.
        source: what :func:`sora_video.pretrain.video.corpus.open_corpus` takes.
        model: run folder of the encoder; None: the one that the classifier was trained with.
        smooth_s: see :mod:`.timeline`; None: the length of three slices.
        keep: file in which a call that is interrupted leaves what it has, and from which the same call goes
            on; None: none.

    Returns:
        A prediction a video in the corpus's order, and videos that could not be read.

    Raises:
        ConfigError: ``smooth_s`` is below 0.
        CorpusError: no video can be read.
        FingerprintError: the encoder is another one.
        LabelsError: there is no classifier.
        RunError: there is no finished run.
    """
    classifier = load_classifier(head)
    return classify_corpus(classifier, encoder_of(classifier, model), open_corpus(source), smooth_s, keep)


def classify_embeddings(
    classifier: Classifier, embeddings: Embeddings, smooth_s: float | None = None
) -> Prediction:
    """Classify one video by embeddings that are there, such as those of a library.

    Args:
        classifier: heads on slices of this kind.
        embeddings: the slices of one video, by all aspects of their encoder.
        smooth_s: see :mod:`.timeline`; None: the length of three slices.

    Raises:
        ConfigError: ``smooth_s`` is below 0, or the embeddings lack the aspect of the classifier.
        FingerprintError: another encoder made them.
        LabelsError: there is no slice.
    """
    if embeddings.fingerprint != classifier.fingerprint:
        remedy = "name a classifier that was trained on this encoder"
        raise FingerprintError("the video", embeddings.fingerprint, classifier.fingerprint, remedy)
    if not len(embeddings):
        raise LabelsError("the video has no slice; add it to the library again")
    if smooth_s is not None and not smooth_s >= 0:
        raise ConfigError(f"smooth_s={smooth_s:g}: must be at least 0")
    length_s = float(np.median(embeddings.end_s - embeddings.start_s))
    rows = embeddings if classifier.by is None else embeddings.alone(classifier.by)
    video = Open(
        [View(task, SMOOTH_SLICES * length_s if smooth_s is None else smooth_s) for task in classifier.tasks],
        float(rows.start_s[0]),
        float(rows.end_s[-1]),
    )
    for view in video.views:
        view.take(rows.start_s, rows.end_s, rows.vectors)
    answers = {view.task.name: view.end() for view in video.views}
    return Prediction(str(rows.video_id[0]), video.start_s, video.end_s, answers)


def classify_corpus(
    classifier: Classifier,
    encoder: VideoEncoder,
    corpus: Corpus,
    smooth_s: float | None = None,
    keep: Path | None = None,
) -> Predictions:
    """Classify videos with a classifier and its encoder; see :func:`classify_videos`.

    Args:
        classifier: heads on the encoder's slices.
        encoder: the one that the classifier was made for.
        corpus: the videos.
        smooth_s: see :mod:`.timeline`; None: the length of three slices.
        keep: see :func:`classify_videos`.

    Returns:
        A prediction a video in the corpus's order, and videos that could not be read.

    Raises:
        ConfigError: ``smooth_s`` is below 0.
        CorpusError: no video can be read.
    """
    if smooth_s is not None and not smooth_s >= 0:
        raise ConfigError(f"smooth_s={smooth_s:g}: must be at least 0")
    width_s = SMOOTH_SLICES * encoder.config.slice.length_s if smooth_s is None else smooth_s
    kept = None if keep is None else Kept(keep, classifier, width_s)
    videos = kept.take(corpus) if kept else []
    failures: list[Failure] = []
    there = {video.video_id for video in videos}
    rest = replace(corpus, videos=tuple(video for video in corpus.videos if video.video_id not in there))
    try:
        with Bar("classify", len(rest), "videos") as bar:
            for number, outcome in enumerate(predict(classifier, encoder, rest, width_s), start=1):
                if isinstance(outcome, Failure):
                    failures.append(outcome)
                else:
                    videos.append(outcome)
                bar.advance(number)
    except KeyboardInterrupt:
        if kept:
            kept.write(corpus, videos)
        raise
    if kept:
        kept.drop()
    if not videos:
        raise CorpusError(
            f"{failures[0].video_id}: {failures[0].reason}; none of {len(failures)} is readable"
        )
    order = {video.video_id: entry for entry, video in reversed(list(enumerate(corpus.videos)))}
    videos.sort(key=lambda video: (order[video.video_id], video.start_s))
    told = {task.name: task.told_calibration for task in classifier.tasks if task.calibration}
    return Predictions(tuple(videos), tuple(failures), width_s, classifier.fingerprint, told)
