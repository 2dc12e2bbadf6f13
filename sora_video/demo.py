"""sora-video from end to end on a generated corpus, with a report."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sora_video.base import console
from sora_video.base.errors import ConfigError, RunError
from sora_video.base.files import write_json
from sora_video.base.kinds import DEMO
from sora_video.base.page import Strip
from sora_video.base.times import clock
from sora_video.configs.loader import load_config
from sora_video.configs.schema import PretrainConfig
from sora_video.downstream.datasets.motions import MOTIONS, make_motions
from sora_video.downstream.probe.features import video_features
from sora_video.downstream.probe.figures import confusion, embedding_map, loss_curve, score_bars
from sora_video.downstream.probe.knn import nearest_predict
from sora_video.downstream.probe.labels import read_split
from sora_video.downstream.probe.metrics import balanced_accuracy
from sora_video.downstream.probe.pixels import pixel_features
from sora_video.downstream.probe.quick import Scores, score_features
from sora_video.downstream.probe.report import Answer, write_report
from sora_video.downstream.probe.split import Labels, Split
from sora_video.index.library import Library
from sora_video.index.query import Query
from sora_video.pretrain.encoders.frozen import VideoEncoder, random_encoder
from sora_video.pretrain.encoders.load import load_encoder
from sora_video.pretrain.training.loop import pretrain_encoder
from sora_video.pretrain.training.run.folder import Run
from sora_video.pretrain.video.corpus import Corpus, Video, open_corpus
from sora_video.pretrain.video.strip import frame_strip

__all__ = ["DemoOutcome", "make_clips", "run_demo"]

HITS = 4
CORPUS_SEED = 2027
"""A draw of its own: corpus and recipe were chosen on others, by folds of their training videos."""


@dataclass(frozen=True, kw_only=True)
class DemoOutcome:
    """The scores of a demo; every score is balanced accuracy or R@k on the test videos."""

    pretrained: Sequence[Scores]
    """One per pretraining seed."""
    random: Sequence[Scores]
    """Untrained encoders with the same seeds."""
    mean_frame: float
    motion_map: float
    chance: float
    minutes: float
    query: Path
    """A test video to search the library with, which holds the training videos."""

    def margins(self) -> list[float]:
        """Pretrained minus random linear probe, seed by seed."""
        return [a.linear - b.linear for a, b in zip(self.pretrained, self.random, strict=True)]

    def title(self) -> str:
        """The result in one line."""
        low, high = min(self.margins()), max(self.margins())
        return (
            f"pretraining adds {100 * np.mean(self.margins()):.0f} points to the linear probe "
            f"({100 * low:.0f} to {100 * high:.0f} over {len(self.margins())} seeds) "
            f"in {self.minutes:.1f} minutes"
        )

    def table(self) -> list[dict[str, Any]]:
        """Rows to print: the mean over seeds, and the range of the linear probe."""
        return [
            {"features": "pretrained", **summary(self.pretrained)},
            {"features": "random initialisation", **summary(self.random)},
            {"features": "pixels: mean frame, 1-NN", "linear": "", "knn": self.mean_frame},
            {"features": "pixels: motion map, 1-NN", "linear": "", "knn": self.motion_map},
            {"features": "chance", "linear": self.chance, "knn": self.chance},
        ]

    def as_json(self) -> dict[str, Any]:
        """The result as plain values."""
        return {
            "pretrained": [scores.row() for scores in self.pretrained],
            "random": [scores.row() for scores in self.random],
            "mean_frame": self.mean_frame,
            "motion_map": self.motion_map,
            "chance": self.chance,
            "minutes": self.minutes,
            "margins": self.margins(),
        }


def summary(scores: Sequence[Scores]) -> dict[str, Any]:
    """Mean of each score over seeds, and the range of the linear probe."""
    rows = [seed.row() for seed in scores]
    means = {key: float(np.mean([row[key] for row in rows])) for key in rows[0]}
    linear = [row["linear"] for row in rows]
    return {"linear": means.pop("linear"), "range": f"{min(linear):.3f} to {max(linear):.3f}", **means}


@dataclass(frozen=True)
class Trial:
    """One seed's pretraining and probe."""

    run: Run
    features: NDArray[np.float32]
    predicted: Labels
    pretrained: Scores
    random: Scores


def run_demo(out: Path, seeds: int = 3, overrides: Sequence[str] = ()) -> DemoOutcome:
    """Make a corpus of motions, pretrain on it, search it, probe it and report.

    Args:
        out: the folder to make: ``demo.json``, which says how, ``corpus/``, one run folder a seed,
            ``library/``, ``report.html``, ``metrics.json``.
        seeds: pretrainings, each with its own seed.
        overrides: ``key=value`` settings on top of the recipe ``demo``.

    Returns:
        The scores.

    Raises:
        ConfigError: an override is wrong.
        RunError: the folder exists already.
    """
    if out.exists() and any(out.iterdir()):
        raise RunError(f"demo {out}: exists already; remove it or choose another --out")
    base = load_config("demo", overrides)
    configs = [base.model_copy(update={"seed": base.seed + number}) for number in range(seeds)]
    started = time.monotonic()
    write_json(out / DEMO, {"seeds": seeds, "overrides": list(overrides)})
    console.note(f"making a corpus of motions in {out / 'corpus'}")
    corpus = open_corpus(make_motions(out / "corpus", seed=CORPUS_SEED))
    split = read_split(corpus)
    trials = [try_seed(corpus, split, config, out / f"run-{config.seed}") for config in configs]
    console.note("building and searching the library, drawing the report")
    gallery = search_gallery(load_encoder(trials[0].run.path), corpus, split, out / "library")
    pixels = pixel_features(corpus)
    truth = split.labels[split.test]
    outcome = DemoOutcome(
        pretrained=[trial.pretrained for trial in trials],
        random=[trial.random for trial in trials],
        mean_frame=balanced_accuracy(truth, nearest_predict(pixels.mean_frame, split)),
        motion_map=balanced_accuracy(truth, nearest_predict(pixels.motion_map, split)),
        chance=1 / len(split.classes),
        minutes=(time.monotonic() - started) / 60,
        query=corpus.videos[split.test[0]].path,
    )
    write_json(out / "metrics.json", outcome.as_json())
    draw_report(out / "report.html", outcome, trials, split, gallery)
    return outcome


def make_clips(out: Path, clips: int) -> Path:
    """Make the demo's corpus alone, or a smaller or larger one.

    Args:
        out: a new or empty folder.
        clips: how many; a multiple of the number of motions.

    Returns:
        Path of ``labels.csv``, see :func:`sora_video.downstream.datasets.motions.make_motions`.

    Raises:
        ConfigError: the clips cannot be divided among the motions and the two splits.
        CorpusError: the folder holds something already.
        StorageError: the disk refused a write.
    """
    kinds = len(MOTIONS)
    if clips < 2 * kinds or clips % kinds:
        raise ConfigError(
            f"--only-clips {clips}: must be a multiple of the {kinds} motions, {2 * kinds} or more"
        )
    return make_motions(out, clips // kinds, seed=CORPUS_SEED)


def try_seed(corpus: Corpus, split: Split, config: PretrainConfig, path: Path) -> Trial:
    """Pretrain with one seed; probe the encoder, and an untrained one with the same seed."""
    console.note(f"pretraining without labels, seed {config.seed}")
    run = pretrain_encoder(corpus, path, config)
    features, _ = video_features(load_encoder(run.path), corpus)
    scores, predicted = score_features(features, split)
    untrained, _ = video_features(random_encoder(config), corpus)
    return Trial(run, features, predicted, scores, score_features(untrained, split)[0])


def search_gallery(encoder: VideoEncoder, corpus: Corpus, split: Split, path: Path) -> list[Answer]:
    """Build a library of the training videos, and search it for the middle of one test video per class."""
    embeddings = encoder.embed(corpus)
    entry_of = {video.video_id: entry for entry, video in enumerate(corpus.videos)}
    side = np.array([entry_of[video_id] for video_id in embeddings.video_id])
    library = Library.create(path, embeddings.fingerprint, embeddings.dim)
    library.add(embeddings.select(np.isin(side, split.train)))
    answers = []
    for name in split.classes:
        entry = split.test[split.labels[split.test] == name][0]
        rows = np.flatnonzero(side == entry)
        query = embeddings.select(rows[len(rows) // 2 : len(rows) // 2 + 1])
        shown = picture(
            corpus.videos[entry], float(query.start_s[0]), float(query.end_s[0]), "query, " + name
        )
        hits = []
        for hit in library.search(Query(query, top=HITS)):
            hit_entry = entry_of[hit.video_id]
            label = str(split.labels[hit_entry])
            strip = picture(corpus.videos[hit_entry], hit.start_s, hit.end_s, label, hit.cosine)
            hits.append(replace(strip, good=label == name))
        answers.append(Answer(shown, hits))
    return answers


def picture(video: Video, start_s: float, end_s: float, title: str, score: float | None = None) -> Strip:
    """A span of a video as a captioned strip of frames."""
    note = f"{clock(start_s)} to {clock(end_s)}"
    if score is not None:
        note += f", cosine {score:.3f}"
    return Strip(frame_strip(video.path, start_s, end_s), f"{title}: {video.video_id}", note)


def draw_report(
    path: Path, outcome: DemoOutcome, trials: Sequence[Trial], split: Split, gallery: Sequence[Answer]
) -> None:
    """Write the demo's report."""
    first, runs = trials[0], [trial.run for trial in trials]
    bars = {
        "pretrained": [scores.linear for scores in outcome.pretrained],
        "random initialisation": [scores.linear for scores in outcome.random],
        "motion map, 1-NN": [outcome.motion_map],
        "mean frame, 1-NN": [outcome.mean_frame],
    }
    write_report(
        path,
        title="sora-video: what an encoder learns from unlabelled video",
        lead=f"{len(split.labels)} short clips show {len(split.classes)} kinds of motion; shapes, colours, "
        "sizes, speeds and backgrounds are drawn alike for all kinds, so that no frame shows the kind. "
        f"The encoder saw no label. In this run {outcome.title()}.",
        table=outcome.table(),
        figures={
            "Linear probe": score_bars(bars, outcome.chance),
            "Loss of pretraining": loss_curve({f"seed {run.config.seed}": run.log() for run in runs}),
            "Confusion of the linear probe (first seed)": confusion(
                split.labels[split.test], first.predicted, split.classes
            ),
            "Map of the videos (t-SNE, seed 0)": embedding_map(first.features, split.labels),
        },
        gallery=gallery,
        protocol=protocol(runs, split),
    )


def protocol(runs: Sequence[Run], split: Split) -> dict[str, str]:
    """What is needed to repeat and to interpret the numbers."""
    config, ends = runs[0].config, [run.log()[-1] for run in runs]
    return {
        "task": f"{len(split.classes)} motions; {len(split.train)} training, {len(split.test)} test videos",
        "linear": "balanced accuracy of logistic regression on frozen features; its C is chosen by 5 folds "
        "of the training videos, no choice sees the test videos",
        "knn": "balanced accuracy of a vote of the nearest training videos, k chosen alike",
        "R@k": "fraction of test videos with one of their kind among the k nearest training videos",
        "corpus": f"motions drawn with seed {CORPUS_SEED}; corpus and recipe were chosen on others",
        "seen in pretraining": "all videos, the test videos included, none of their labels",
        "seeds": ", ".join(str(run.config.seed) for run in runs) + "; the range is least to greatest",
        "pretraining": f"{config.encoder.name} on {config.encoder.input} input, "
        f"{config.optim.epochs} epochs, final loss {np.mean([end['loss'] for end in ends]):.3f}",
        "throughput": f"{np.mean([end['clips_per_s'] for end in ends]):.0f} clips a second, "
        f"{np.mean([end['wait'] for end in ends]):.0%} of the time waiting for data",
        "fingerprint (first seed)": load_encoder(runs[0].path).fingerprint,
        "repeat with": "sora demo",
    }
