"""The probe: how well frozen features predict labels, compared with an untrained encoder and raw pixels."""

import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from sora_video.base.errors import ConfigError
from sora_video.pretrain.encoders.frozen import VideoEncoder
from sora_video.pretrain.encoders.load import load_encoder
from sora_video.pretrain.encoders.spec import run_folder
from sora_video.pretrain.video.corpus import Corpus, Source, open_corpus
from sora_video.pretrain.video.spelling import one_spelling

from .features import ALL, Viewing, frozen_features, video_keys
from .labels import column_of, hold_out, plain_sides, read_split
from .measure import Candidate, measure
from .pixels import pixel_features
from .probes import Prediction
from .protocol import describe
from .results import Results
from .seeds import check_seeds
from .split import SEPARATOR, Split, check_split, drop_rows, used_rows

__all__ = ["kept_in", "linear_probe", "probe_encoders"]

RANDOM_DRAWS = 3
"""Untrained encoders."""


def linear_probe(
    labels: Source,
    model: str | Path | Sequence[str | Path],
    *,
    label: str = "label",
    group: str = "group",
    split: str = "split",
    class_folders: bool = False,
    by: str | None = None,
    cache: str | Path | None = None,
    views: str = "allx1",
    centre: bool = False,
    finetune: int = 0,
    join_labels: bool = False,
) -> Results:
    """Probe finished runs on labelled videos.

    Args:
        labels: a manifest with label and split columns; ``a;b`` names several classes.
        model: a model spec, see :func:`sora_video.pretrain.encoders.spec.parse_spec`; or several runs of
            the same encoder and slices, pretrained with other seeds.
        label: column of the class.
        group: column of the group that may not be on both sides of the split.
        split: column that says train or test.
        class_folders: ``labels`` is a folder with one folder a class, of which a third is held out.
        by: see :class:`sora_video.pretrain.encoders.frozen.VideoEncoder`.
        cache: a folder to keep features in; None: ``features`` in the first run folder, and nowhere where the
            model is not a run.
        views: which views of a video are averaged, ``SLICESxCROPS``, as in ``10x3``.
        centre: whether retrieval subtracts the mean of the training rows first.
        finetune: epochs of fine-tuning end to end, to compare with; 0: none.
        join_labels: join labels that differ only in white space, case or Unicode form; False: refuse them.

    Returns:
        Linear and attentive probe, kNN, retrieval and few-shot beside the untrained encoder and the pixel
        baselines.

    Raises:
        ConfigError: the encoder lacks the branch that ``by`` names, an option is wrong, the runs differ in
            more than their seed, or encoders that are joined should be fine-tuned.
        LabelsError: the labels or the split cannot be used.
        RunError: there is no finished run.
        StorageError: the features cannot be written.
    """
    viewing = Viewing.parse(views)
    if finetune < 0:
        raise ConfigError(f"finetune={finetune}: must be a number of epochs, or 0 for none")
    corpus, rows = read_labels(
        labels, label, group, split, class_folders=class_folders, join_labels=join_labels
    )
    models = [model] if isinstance(model, str | Path) else list(model)
    encoders = {str(name): load_encoder(name, by=by) for name in models}
    check_seeds(encoders, len(models))
    if finetune and any(len(encoder.configs) > 1 for encoder in encoders.values()):
        raise ConfigError(
            f"finetune={finetune}: fine-tuning trains one network, and {models[0]} joins several; name one "
            "of them, or leave it out"
        )
    return probe_encoders(
        list(encoders.values()),
        corpus,
        rows,
        cache=Path(cache).expanduser() if cache else kept_in(models[0]),
        viewing=viewing,
        centre=centre,
        finetune=finetune,
    )


def read_labels(
    labels: Source, label: str, group: str, split: str, *, class_folders: bool, join_labels: bool
) -> tuple[Corpus, Split]:
    """The labelled videos, and which rows of them are for training and which for testing."""
    corpus = open_corpus(labels, class_folders=class_folders)
    label, group, split = (column_of(corpus, name) for name in (label, group, split))
    corpus = one_spelling(corpus, [label], join=join_labels, separator=SEPARATOR)
    corpus = hold_out(corpus) if class_folders else plain_sides(corpus, split)
    rows = read_split(corpus, label=label, group=group, split=split)
    if class_folders:
        rows = replace(rows, source="a third of each class drawn with seed 0; no groups are known")
    return corpus, rows


def kept_in(model: str | Path) -> Path | None:
    """Where features are kept that nobody names a folder for.

    Args:
        model: spec of the encoder.

    Returns:
        A folder in the run; None for other encoders.
    """
    run = run_folder(model)
    return run / "features" if run else None


def probe_encoders(
    encoders: Sequence[VideoEncoder],
    corpus: Corpus,
    split: Split,
    *,
    cache: Path | None = None,
    viewing: Viewing = ALL,
    centre: bool = False,
    finetune: int = 0,
) -> Results:
    """Probe encoders, one a seed, on a corpus that has been split; see :func:`linear_probe`.

    Args:
        encoders: pretrained ones.
        corpus: labelled videos.
        split: its rows.
        cache: a folder to keep features in; None: they are not kept.
        viewing: which views of a video are averaged.
        centre: whether retrieval subtracts the mean of the training rows first.
        finetune: epochs of fine-tuning; 0: none.

    Returns:
        See :func:`linear_probe`.

    Raises:
        LabelsError: two files of the same content break the split, or too little of it can be read.
    """
    corpus, split = used_rows(corpus, split)
    with ExitStack() as stack:
        cache = cache or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        contents = [digest or str(row) for row, digest in enumerate(video_keys(corpus, cache)[1])]
        split = check_split(split, contents, corpus.videos)
        untrained = random_encoders(encoders[0])
        frozen, failures = frozen_features([*encoders, *untrained], corpus, cache, viewing)
        split = drop_rows(split, frozen[0].count == 0, contents, corpus.videos)
        seeds = f", {len(encoders)} seeds" if len(encoders) > 1 else ""
        names = f"pretrained{seeds}", f"random init ({RANDOM_DRAWS} draws)"
        parts = frozen[: len(encoders)], frozen[len(encoders) :]
        tuned = [fine_tuned(starts, corpus, split, finetune) for starts in (encoders, untrained[:1])]
        return measure(
            split,
            corpus.videos,
            [Candidate(*each) for each in zip(names, parts, tuned, strict=True)],
            pixel_features(corpus, cache),
            centre=centre,
            failures=failures,
            fingerprints=tuple(encoder.fingerprint for encoder in encoders),
            settings=describe(split, RANDOM_DRAWS, options(viewing, centre, finetune, encoders[0].by)),
        )


def random_encoders(encoder: VideoEncoder) -> list[VideoEncoder]:
    """Untrained encoders of the same shape."""
    return [encoder.untrained(draw) for draw in range(1, RANDOM_DRAWS + 1)]


def fine_tuned(
    encoders: Sequence[VideoEncoder], corpus: Corpus, split: Split, epochs: int
) -> list[Prediction]:
    """Predictions by fine-tuning each encoder; none where there are 0 epochs."""
    if epochs == 0:
        return []
    from .finetune import fine_tune  # imports all that training needs, which takes seconds

    return [fine_tune(encoder, corpus, split, epochs) for encoder in encoders]


def options(viewing: Viewing, centre: bool, finetune: int, by: str | None) -> dict[str, str]:
    """What the protocol says of a probe's options."""
    alone = "" if by is None else f", by {by} alone"
    gallery = "both less the mean of the gallery" if centre else "not centred"
    tuned = {"fine-tuned": f"{finetune} epochs, all weights, the run's own recipe"} if finetune else {}
    return {
        "features": f"mean of the embeddings of {viewing} of a video{alone}, in training and in testing "
        "alike, L2-normalised; attentive: the views apart, of 16 slices at most",
        "retrieval": f"gallery train, queries test, cosine, {gallery}",
        **tuned,
    }
