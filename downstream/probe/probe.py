"""The probe: how much do frozen features say of labels, beside an untrained encoder and raw pixels."""

import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sora_video.base.errors import ConfigError, LabelsError
from sora_video.pretrain.encoders.frozen import VideoEncoder, load_encoder, random_encoder
from sora_video.pretrain.video.corpus import Corpus, Source, open_corpus
from sora_video.pretrain.video.quarantine import Failure

from .features import ALL, Viewing, frozen_features, video_keys
from .finetune import fine_tune
from .heads import knn_predict, linear_predict
from .metrics import Estimate, average_precision
from .pixels import pixel_features
from .protocols import Labels, Split, balanced_accuracy, check_contents, hold_out, read_split
from .results import Family, headline, measure, pixel_family, probe_family, summary
from .retrieval import recall_at

__all__ = ["Probe", "Scores", "linear_probe", "probe_encoders", "score_features"]

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

    families: tuple[Family, ...]
    """Pretrained, random initialisation, and the pixel baselines."""
    corpus: Corpus
    """The rows that took part."""
    split: Split
    features: NDArray[np.float32]
    """(N, D) features of all rows by the first pretrained encoder."""
    centre: bool
    """Whether retrieval takes the training rows' mean away first."""
    failures: tuple[Failure, ...]
    fingerprints: tuple[str, ...]
    """Of the pretrained encoders."""
    settings: Mapping[str, Any]
    """How the numbers came about, beyond what is always so."""

    @property
    def chance(self) -> float:
        """The headline metric of guessing."""
        if self.split.multi:
            shares = self.split.targets[self.split.test].mean(0)
            return float(shares[shares > 0].mean())
        return 1 / len(self.split.classes)

    @property
    def predicted(self) -> Labels:
        """(number of test rows,) classes by the linear probe on the first encoder's features."""
        return self.families[0].predictions["linear"][0].labels(self.split)

    @cached_property
    def estimates(self) -> list[dict[str, dict[str, Estimate]]]:
        """Every metric of every protocol of every family, with intervals."""
        return [measure(family, self.split) for family in self.families]

    @property
    def mean_frame(self) -> float:
        """The headline of the nearest neighbour by grey mean frame."""
        return self.score(2, "knn")

    @property
    def motion_map(self) -> float:
        """The same by mean motion map."""
        return self.score(3, "knn")

    def score(self, family: int, protocol: str) -> float:
        """The headline metric of a protocol."""
        return self.estimates[family][protocol][headline(self.split)].value

    def table(self) -> list[dict[str, Any]]:
        """Rows to print: pretrained, random (mean over draws), pixels, chance."""
        rows = []
        for family, found in zip(self.families, self.estimates, strict=True):
            row: dict[str, Any] = {"features": family.name}
            for protocol in ("linear", "attentive", "fine-tuned", "knn"):
                if protocol in found:
                    value = found[protocol][headline(self.split)]
                    row[protocol] = value.value
                    if protocol == "linear" and value.low is not None:
                        row["95 %"] = f"{value.low:.3f} to {value.high:.3f}"
            row |= {name: value.value for name, value in found.get("retrieval", {}).items()}
            rows.append(row)
        return [*rows, {"features": "chance", "linear": self.chance, "knn": self.chance}]

    def protocol(self) -> dict[str, Any]:
        """What is needed to repeat and to judge the numbers."""
        split = self.split
        groups = len(set(split.groups[split.test].tolist()))
        return {
            "metric": ("mAP over classes" if split.multi else "balanced accuracy")
            + " (linear, attentive, knn, fine-tuned); fraction of queries (R@k); mean over queries (mAP)",
            "train": len(split.train),
            "test": len(split.test),
            "classes": split.classes,
            "classes without test rows": [
                name
                for name, count in zip(split.classes, split.targets[split.test].sum(0), strict=True)
                if not count
            ],
            "split": split.source,
            "selection": f"C of linear, weight decay of attentive, k and temperature of kNN by "
            f"{len(split.pairs)} group-safe folds of the training rows; no choice sees a test row",
            "linear": "L-BFGS logistic regression on standardised features; classes weigh alike",
            "few-shot": "linear with C=1 on 1, 5, 10 training rows a class, mean and deviation over 5 draws",
            "interval": f"95 % bootstrap, 1000 resamples of the {groups} groups that the {len(split.test)} "
            "test rows form, and of seeds where there are several" + few_groups(groups),
            "random": f"{RANDOM_DRAWS} untrained encoders of the same shape, a draw of the weights each",
            **self.settings,
        }

    def as_json(self) -> dict[str, Any]:
        """The outcome and its protocol as plain values."""
        return {
            "table": self.table(),
            "headline": headline(self.split),
            "families": {family.name: summary(family, self.split) for family in self.families},
            "classes": self.class_table(),
            "protocol": self.protocol(),
            "fingerprint": self.fingerprints[0],
            "fingerprints": list(self.fingerprints),
            "unreadable": [vars(failure) for failure in self.failures],
        }

    def class_table(self) -> list[dict[str, Any]]:
        """A row a class: how many rows it has, and what the linear probe makes of them."""
        split, scores = self.split, self.families[0].predictions["linear"][0].scores
        truth = split.targets[split.test]
        said = scores >= 0.5 if split.multi else scores == scores.max(1, keepdims=True)
        hits, counts, named = (truth & said).sum(0), truth.sum(0), said.sum(0)
        return [
            {
                "class": name,
                "train": int(split.targets[split.train, place].sum()),
                "test": int(counts[place]),
                "recall": float(hits[place] / counts[place]) if counts[place] else None,
                "precision": float(hits[place] / named[place]) if named[place] else None,
                "AP": precision(truth[:, place], scores[:, place]) if counts[place] else None,
            }
            for place, name in enumerate(split.classes)
        ]


def precision(truth: NDArray[np.bool_], scores: NDArray[np.float64]) -> float:
    """Average precision of one class."""
    return float(average_precision(truth, scores)(np.ones((1, len(truth))))[0])


def few_groups(groups: int) -> str:
    """A warning where there is little to draw from."""
    if groups == 1:
        return "; one group says nothing of others, so that there are no intervals"
    return "; few groups, so that intervals are rough" if groups < 10 else ""


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
) -> Probe:
    """Probe finished runs on labelled videos.

    Args:
        labels: a manifest with label and split columns; ``a;b`` names several classes.
        model: the run folder; or several, pretrained with other seeds.
        label: column of the class.
        group: column of the group that may not cross the split.
        split: column that says train or test.
        class_folders: ``labels`` is a folder with one folder a class, of which a third is held out.
        by: see :class:`sora_video.pretrain.encoders.frozen.VideoEncoder`.
        cache: a folder to keep features in; None: ``features`` in the first run folder.
        views: which views of a video are averaged, ``SLICESxCROPS``, as in ``10x3``.
        centre: whether retrieval takes the training rows' mean away first.
        finetune: epochs of fine-tuning end to end, to compare with; 0: none.

    Returns:
        Linear and attentive probe, kNN, retrieval and few-shot beside the untrained encoder and the pixel
        baselines.

    Raises:
        ConfigError: the encoder has no such sense, or an option makes no sense.
        LabelsError: the labels or the split cannot be used.
        RunError: there is no finished run.
        StorageError: the features cannot be written.
    """
    viewing = Viewing.parse(views)
    if finetune < 0:
        raise ConfigError(f"finetune={finetune}: must be a number of epochs, or 0 for none")
    corpus = open_corpus(labels, class_folders=class_folders)
    if class_folders:
        corpus = hold_out(corpus)
    rows = read_split(corpus, label=label, group=group, split=split)
    if class_folders:
        rows = replace(rows, source="a third of each class drawn with seed 0; no groups are known")
    runs = [Path(run).expanduser() for run in ([model] if isinstance(model, str | Path) else model)]
    encoders = [load_encoder(run, by=by) for run in runs]
    cache = Path(cache).expanduser() if cache else runs[0] / "features"
    return probe_encoders(
        encoders, corpus, rows, cache=cache, viewing=viewing, centre=centre, finetune=finetune
    )


def probe_encoders(
    encoders: Sequence[VideoEncoder],
    corpus: Corpus,
    split: Split,
    *,
    cache: Path | None = None,
    viewing: Viewing = ALL,
    centre: bool = False,
    finetune: int = 0,
) -> Probe:
    """Probe encoders, one a seed, on a corpus that has been split; see :func:`linear_probe`.

    Args:
        encoders: pretrained ones.
        corpus: labelled videos.
        split: its rows.
        cache: a folder to keep features in; None: they are forgotten.
        viewing: which views of a video are averaged.
        centre: whether retrieval takes the training rows' mean away first.
        finetune: epochs of fine-tuning; 0: none.
    """
    prints = [encoder.fingerprint for encoder in encoders]
    if len(set(prints)) < len(prints):
        raise ConfigError(f"model: two of the runs are the same encoder ({prints[-1][:12]}); name each once")
    first = encoders[0]
    untrained = [random_encoder(first.config, draw=n, by=first.by) for n in range(1, RANDOM_DRAWS + 1)]
    corpus, split = narrow(corpus, split)
    with ExitStack() as stack:
        cache = cache or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        _, digests = video_keys(corpus, cache)
        known = [digest or str(row) for row, digest in enumerate(digests)]
        split = check_contents(split, known, corpus.videos)
        frozen, failures = frozen_features([*encoders, *untrained], corpus, cache, viewing)
        split = without_rows(split, frozen[0].count == 0)
        pixels = pixel_features(corpus, cache)
        learnt, random = frozen[: len(encoders)], frozen[len(encoders) :]
        seeds = f", {len(encoders)} seeds" if len(encoders) > 1 else ""
        families = [
            probe_family(f"pretrained{seeds}", learnt, split, centre=centre),
            probe_family(f"random init ({RANDOM_DRAWS} draws)", random, split, centre=centre),
        ]
        features = learnt[0].pooled()
    if finetune:
        starts = [encoders, untrained[:1]]
        families = [
            with_fine_tuning(family, start, corpus, split, finetune)
            for family, start in zip(families, starts, strict=True)
        ]
    return Probe(
        families=(
            *families,
            pixel_family("pixels: mean frame (knn: 1-NN)", pixels.mean_frame, split),
            pixel_family("pixels: motion map (knn: 1-NN)", pixels.motion_map, split),
        ),
        corpus=corpus,
        split=split,
        features=features,
        centre=centre,
        failures=failures,
        fingerprints=tuple(prints),
        settings={
            "features": f"mean of the embeddings of {viewing} of a video, in training and in testing alike, "
            "L2-normalised; attentive: the views apart, of 16 slices at most",
            "retrieval": "gallery train, queries test, cosine"
            + (", both less the mean of the gallery" if centre else ", not centred"),
            **({"fine-tuned": f"{finetune} epochs, all weights, the run's own recipe"} if finetune else {}),
        },
    )


def with_fine_tuning(
    family: Family, encoders: Sequence[VideoEncoder], corpus: Corpus, split: Split, epochs: int
) -> Family:
    """The family with fine-tuning from each of its encoders."""
    tuned = [fine_tune(encoder, corpus, split, epochs) for encoder in encoders]
    return replace(family, predictions={**family.predictions, "fine-tuned": tuned})


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


def narrow(corpus: Corpus, split: Split) -> tuple[Corpus, Split]:
    """The rows that take part alone."""
    used = np.union1d(split.train, split.test)
    kept = Corpus(corpus.root, tuple(corpus.videos[row] for row in used))
    return kept, replace(
        split,
        labels=split.labels[used],
        groups=split.groups[used],
        train=np.searchsorted(used, split.train),
        test=np.searchsorted(used, split.test),
    )


def without_rows(split: Split, unreadable: NDArray[np.bool_]) -> Split:
    """The split without videos that could not be read.

    Raises:
        LabelsError: a side has nothing left.
    """
    train, test = (rows[~unreadable[rows]] for rows in (split.train, split.test))
    kept = replace(split, train=train, test=test)
    if len(test) == 0 or len(kept.classes) < 2:
        raise LabelsError("too few labelled videos can be read; run `sora scan` on the manifest")
    return kept
