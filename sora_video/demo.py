"""The whole of sora-video on a corpus made on the spot, and a report of it."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sora_video.configs.errors import RunError
from sora_video.configs.loader import load_config
from sora_video.configs.storage import write_json
from sora_video.downstream.features import pixel_features, video_features
from sora_video.downstream.figures import confusion, embedding_map, frame_strip, loss_curve, score_bars
from sora_video.downstream.heads import nearest_predict
from sora_video.downstream.motions import make_motions
from sora_video.downstream.probe import Scores, score_features
from sora_video.downstream.protocols import Labels, Split, balanced_accuracy, read_split
from sora_video.downstream.report import Answer, Strip, write_report
from sora_video.index.library import Library
from sora_video.pretrain.corpus import Corpus, open_corpus
from sora_video.pretrain.embed import VideoEncoder, load_encoder, random_encoder
from sora_video.pretrain.loop import pretrain_encoder
from sora_video.pretrain.run import Run

from . import show

__all__ = ["DemoOutcome", "run_demo"]

SEEDS = (0, 1, 2)
HITS = 4


@dataclass(frozen=True, kw_only=True)
class DemoOutcome:
    """What the demo found; every score is balanced accuracy or R@k on the test videos."""

    pretrained: Sequence[Scores]
    """One a pretraining seed."""
    random: Sequence[Scores]
    """Untrained encoders with the same seeds."""
    mean_frame: float
    motion_map: float
    chance: float
    minutes: float

    def margins(self) -> list[float]:
        """Pretrained minus random linear probe, seed by seed."""
        return [a.linear - b.linear for a, b in zip(self.pretrained, self.random, strict=True)]

    def title(self) -> str:
        """The finding in a line."""
        low, high = min(self.margins()), max(self.margins())
        return (
            f"pretraining adds {100 * np.mean(self.margins()):.0f} points to the linear probe "
            f"({100 * low:.0f} to {100 * high:.0f} over {len(SEEDS)} seeds), {self.minutes:.1f} minutes"
        )

    def table(self) -> list[dict[str, Any]]:
        """Rows to print: mean over seeds, the linear probe's range beside it."""
        return [
            {"features": "pretrained", **summary(self.pretrained)},
            {"features": "random initialisation", **summary(self.random)},
            {"features": "pixels: mean frame, 1-NN", "linear": "", "knn": self.mean_frame},
            {"features": "pixels: motion map, 1-NN", "linear": "", "knn": self.motion_map},
            {"features": "chance", "linear": self.chance, "knn": self.chance},
        ]

    def as_json(self) -> dict[str, Any]:
        """The outcome as plain values."""
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
    rows = [one.row() for one in scores]
    means = {key: float(np.mean([row[key] for row in rows])) for key in rows[0]}
    linear = [row["linear"] for row in rows]
    return {"linear": means.pop("linear"), "range": f"{min(linear):.3f} to {max(linear):.3f}", **means}


def run_demo(out: Path) -> DemoOutcome:
    """Make a corpus of motions, pretrain on it, search it, probe it and report.

    Args:
        out: the folder to make: ``corpus/``, one run folder a seed, ``library/``, ``report.html``,
            ``metrics.json``.

    Returns:
        The scores.

    Raises:
        RunError: the folder exists already.
    """
    if out.exists() and any(out.iterdir()):
        raise RunError(f"demo {out}: exists already; remove it or choose another --out")
    began = time.monotonic()
    show.say(f"making a corpus of motions in {out / 'corpus'}")
    corpus = open_corpus(make_motions(out / "corpus"))
    split = read_split(corpus)
    pretrained, random, runs = [], [], []
    for seed in SEEDS:
        show.say(f"pretraining without labels, seed {seed}")
        config = load_config("tiny-cpu", [f"seed={seed}"])
        runs.append(pretrain_encoder(corpus, out / f"run-{seed}", config))
        features, _ = video_features(load_encoder(runs[-1].path), corpus)
        scores, predicted = score_features(features, split)
        if seed == SEEDS[0]:
            shown = features, predicted
        pretrained.append(scores)
        random.append(score_features(video_features(random_encoder(config), corpus)[0], split)[0])
    show.say("building and searching the library, drawing the report")
    pixels = pixel_features(corpus)
    truth = split.labels[split.test]
    outcome = DemoOutcome(
        pretrained=pretrained,
        random=random,
        mean_frame=balanced_accuracy(truth, nearest_predict(pixels.mean_frame, split)),
        motion_map=balanced_accuracy(truth, nearest_predict(pixels.motion_map, split)),
        chance=1 / len(split.classes),
        minutes=(time.monotonic() - began) / 60,
    )
    encoder = load_encoder(runs[0].path)
    gallery = search_gallery(encoder, corpus, split, out / "library")
    write_json(out / "metrics.json", outcome.as_json())
    draw_report(out / "report.html", outcome, runs, split, shown, gallery)
    return outcome


def search_gallery(encoder: VideoEncoder, corpus: Corpus, split: Split, path: Path) -> list[Answer]:
    """Build a library of the training videos and ask it for the middle of one test video a class."""
    embeddings = encoder.embed(corpus)
    place = {video.video_id: entry for entry, video in enumerate(corpus.videos)}
    side = np.array([place[video_id] for video_id in embeddings.video_id])
    library = Library.create(path, embeddings.fingerprint, embeddings.dim)
    library.add(embeddings.select(np.isin(side, split.train)))
    answers = []
    for name in split.classes:
        entry = int(split.test[split.labels[split.test] == name][0])
        rows = np.flatnonzero(side == entry)
        query = embeddings.select(rows[len(rows) // 2 : len(rows) // 2 + 1])
        hits = []
        for hit in library.search(query, top=HITS):
            found = place[hit.video_id]
            span = f"{show.clock(hit.start_s)} to {show.clock(hit.end_s)}, similarity {hit.score:.3f}"
            image = frame_strip(corpus.videos[found].path, hit.start_s, hit.end_s)
            label = str(split.labels[found])
            hits.append(Strip(image, f"{label}: {hit.video_id}", span, good=label == name))
        start_s, end_s = float(query.start_s[0]), float(query.end_s[0])
        strip = frame_strip(corpus.videos[entry].path, start_s, end_s)
        caption = f"{show.clock(start_s)} to {show.clock(end_s)}"
        answers.append(Answer(Strip(strip, f"query, {name}: {query.video_id[0]}", caption), hits))
    return answers


def draw_report(
    path: Path,
    outcome: DemoOutcome,
    runs: Sequence[Run],
    split: Split,
    shown: tuple[Any, Labels],
    gallery: Sequence[Answer],
) -> None:
    """Write the demo's report."""
    features, predicted = shown
    truth = split.labels[split.test]
    bars = {
        "pretrained": [scores.linear for scores in outcome.pretrained],
        "random initialisation": [scores.linear for scores in outcome.random],
        "motion map, 1-NN": [outcome.motion_map],
        "mean frame, 1-NN": [outcome.mean_frame],
    }
    config = runs[0].config
    marks = [run.log()[-1] for run in runs]
    write_report(
        path,
        title="sora-video: what an encoder learns from video nobody has labelled",
        lead=f"{len(split.labels)} short clips show {len(split.classes)} kinds of motion; shapes, colours, "
        "sizes, speeds and backgrounds are drawn alike for all kinds, so that no frame tells the kind. "
        f"The encoder saw no label. In this run {outcome.title()}.",
        table=outcome.table(),
        figures={
            "Linear probe": score_bars(bars, outcome.chance),
            "Loss of pretraining": loss_curve({f"seed {run.config.seed}": run.log() for run in runs}),
            "Confusion of the linear probe (seed 0)": confusion(truth, predicted, split.classes),
            "Map of the videos (t-SNE, seed 0)": embedding_map(features, split.labels),
        },
        gallery=gallery,
        protocol={
            "task": f"{len(split.classes)} motions; {len(split.train)} training, {len(split.test)} test videos",
            "linear": "balanced accuracy of logistic regression on frozen features; C by 5 folds of the "
            "training videos; no choice sees the test videos",
            "knn": "balanced accuracy of a vote of the nearest training videos, k chosen alike",
            "R@k": "fraction of test videos with one of their kind among the k nearest training videos",
            "seeds": ", ".join(str(seed) for seed in SEEDS) + "; the range is least to greatest",
            "pretraining": f"{config.encoder.name} on {config.encoder.input} input, "
            f"{config.optim.epochs} epochs, final loss {np.mean([mark['loss'] for mark in marks]):.3f}",
            "throughput": f"{np.mean([mark['clips_per_s'] for mark in marks]):.0f} clips a second at the end, "
            f"{np.mean([mark['wait'] for mark in marks]):.0%} of it waiting for data",
            "fingerprint (seed 0)": load_encoder(runs[0].path).fingerprint,
            "repeat with": "sora demo",
        },
    )
