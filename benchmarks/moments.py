"""Find changed excerpts of known videos in a library: ``python -m benchmarks.moments``.

The videos lie in the folder that SORA_DATA names: handwash, wagon and survfight. Each excerpt is searched for
twice: in the whole library, and in the library without its own video, where everything found is wrong.
"""

import argparse
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sora_video.configs.loader import load_config
from sora_video.configs.storage import write_text
from sora_video.index.library import Library
from sora_video.index.localize import localize
from sora_video.index.search import Hit
from sora_video.pretrain.corpus import Corpus, open_corpus
from sora_video.pretrain.embed import VideoEncoder, load_encoder
from sora_video.pretrain.embeddings import Embeddings
from sora_video.pretrain.loop import pretrain_encoder

from .costs import machine
from .excerpts import KINDS, Excerpt, plant
from .real import RESULTS, task_videos

TOP = 10
FALSE = 0.01
"""Fraction of the excerpts for choosing that may be found in a wrong video."""


@dataclass(frozen=True)
class Outcome:
    """What became of one excerpt."""

    kind: str
    rank: float
    """Of its video, from 1; infinity where it is not among the hits."""
    iou: float
    """Intersection over union of the best span in its video; 0 where that was not found."""
    speed_error: float
    """Difference from the true speed; NaN where its video was not found."""
    score: float
    """Of the first hit."""
    wrong_score: float
    """Of the first hit in a wrong video."""

    @property
    def right(self) -> bool:
        """Whether the first hit is its video."""
        return self.rank == 1


def main() -> None:
    """Plant, search, write and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, help="a finished run; else one is pretrained")
    parser.add_argument("--config", default="tiny-cpu", help="recipe or YAML file to pretrain with")
    parser.add_argument("--videos", type=int, help="only so many, drawn at random")
    parser.add_argument("--excerpts", type=int, default=100, help="for choosing, and as many for reporting")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=RESULTS / "moments.md", help="file to write")
    parser.add_argument("overrides", nargs="*", help="settings, as in optim.epochs=10")
    arguments = parser.parse_args()
    rng = np.random.default_rng(arguments.seed)
    corpus = open_corpus(task_videos())
    if arguments.videos:
        drawn = np.sort(rng.permutation(len(corpus))[: arguments.videos])
        corpus = Corpus(corpus.root, tuple(corpus.videos[number] for number in drawn))
    with tempfile.TemporaryDirectory() as scratch:
        config = load_config(arguments.config, arguments.overrides)
        model = arguments.model or pretrain_encoder(corpus, Path(scratch) / "run", config).path
        encoder = load_encoder(model)
        library = make_library(Path(scratch) / "library", encoder.embed(corpus))
        places = rng.permutation(len(corpus))[: 2 * arguments.excerpts]
        halves = []
        for number, part in enumerate(np.array_split(places, 2)):
            folder = Path(scratch) / f"excerpts-{number}"
            planted = [found for place in part for found in plant(corpus.videos[place], folder, rng)]
            halves.append(search_all(library, encoder, planted))
    table = markdown(
        halves[0], halves[1], library, arguments.model or f"{arguments.config} {arguments.overrides}"
    )
    print(table)
    write_text(arguments.out, table)


def make_library(path: Path, embeddings: Embeddings) -> Library:
    """A library of a corpus."""
    library = Library.create(path, embeddings.fingerprint, embeddings.dim)
    library.add(embeddings)
    return library


def search_all(library: Library, encoder: VideoEncoder, excerpts: Sequence[Excerpt]) -> list[Outcome]:
    """Search for every excerpt."""
    embeddings = encoder.embed([excerpt.path for excerpt in excerpts])
    outcomes = []
    for excerpt in excerpts:
        name = f"{excerpt.kind}/{excerpt.path.name}"
        query = embeddings.select(embeddings.video_id == name)
        hits = localize(library, query, library.search(query, TOP))
        wrong = library.search(query, 1, exclude=excerpt.video_id)[0]
        outcomes.append(judge(excerpt, hits, wrong))
    return outcomes


def judge(excerpt: Excerpt, hits: Sequence[Hit], wrong: Hit) -> Outcome:
    """Hold what was found against what was planted."""
    names = [hit.video_id for hit in hits]
    rank = names.index(excerpt.video_id) + 1 if excerpt.video_id in names else np.inf
    iou, speed_error = 0.0, np.nan
    if rank < np.inf:
        hit = hits[names.index(excerpt.video_id)]
        span = (hit.aligned or hit.moments)[0]
        shared = min(span.end_s, excerpt.end_s) - max(span.start_s, excerpt.start_s)
        iou = max(0.0, shared) / (max(span.end_s, excerpt.end_s) - min(span.start_s, excerpt.start_s))
        speed_error = hit.aligned[0].speed - KINDS[excerpt.kind][2] if hit.aligned else np.nan
    return Outcome(excerpt.kind, rank, iou, speed_error, hits[0].score, wrong.score)


def markdown(
    chosen_on: Sequence[Outcome], outcomes: Sequence[Outcome], library: Library, model: object
) -> str:
    """The table of all kinds of change."""
    threshold = float(np.quantile([outcome.wrong_score for outcome in chosen_on], 1 - FALSE))
    columns = ["excerpt", "R@1", "R@5", "R@10", "span IoU", "IoU > 0.5", "speed error"]
    columns += ["sure", "sure but wrong", "sure, video absent"]
    lines = [
        "# Excerpts found in a library",
        "",
        f"`make bench-moments`; {len(library.videos())} videos, {len(library)} slices; encoder: {model};",
        f"machine: {machine()}.",
        f"{len(outcomes) // len(KINDS)} excerpts of 2 to 6 seconds (at most 0.7 of their video), planted",
        "in five ways. R@k: its video is among the first k. Span IoU: of the best span in its video, 0 where",
        "that is not among ten. Speed error: mean absolute. A search is sure if its first score is above",
        f"{threshold:.4f}: of as many excerpts of other videos, {FALSE:.0%} found a wrong video above that",
        "when their own was left out. Sure but wrong: the first hit of a sure search is another video. Sure,",
        "video absent: the same search without the excerpt's own video is sure.",
        "",
        "| " + " | ".join(columns) + " |",
        "|---" * len(columns) + "|",
    ]
    for kind in (*KINDS, "all"):
        rows = [outcome for outcome in outcomes if kind in (outcome.kind, "all")]
        lines.append(
            "| " + " | ".join([kind, *(f"{number:.3f}" for number in numbers(rows, threshold))]) + " |"
        )
    return "\n".join(lines) + "\n"


def numbers(rows: Sequence[Outcome], threshold: float) -> list[float]:
    """One line of the table."""
    ranks, ious = np.array([row.rank for row in rows]), np.array([row.iou for row in rows])
    sure = np.array([row.score > threshold for row in rows])
    right = np.array([row.right for row in rows])
    return [
        *(float(np.mean(ranks <= k)) for k in (1, 5, 10)),
        float(ious.mean()),
        float(np.mean(ious > 0.5)),
        float(np.nanmean(np.abs([row.speed_error for row in rows]))),
        float(sure.mean()),
        float(np.mean(sure & ~right)),
        float(np.mean([row.wrong_score > threshold for row in rows])),
    ]


if __name__ == "__main__":
    main()
