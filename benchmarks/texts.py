"""Unseen clips found by words, with a text tower learnt beside the encoder: ``python -m benchmarks.texts``.

`grid`: sentences of four words, found by sound. `thaisign`: signs named by a word, found by sight; of each
word that has several clips, one is unseen. A run that was stopped, by ``--minutes`` too, goes on when the
command is given again with the same ``--runs``.
"""

import argparse
import tempfile
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from math import comb
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sora_video.base.errors import Stopped
from sora_video.base.randomness import generator
from sora_video.configs.loader import load_config
from sora_video.configs.schema import PretrainConfig
from sora_video.downstream.probe.features import video_features
from sora_video.pretrain.encoders.frozen import VideoEncoder, random_encoder
from sora_video.pretrain.encoders.load import load_encoder
from sora_video.pretrain.training.loop import pretrain_encoder
from sora_video.pretrain.video.corpus import Corpus, Video, open_corpus

from .real import DATA, write_table

WORDS = ("command", "colour", "digit", "adverb")
DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
RANKS = (1, 5)
BOTH = ["text.column=text", "text.weight=4", "slice.per_video=2", "optim.warmup_epochs=2", "data.workers=2"]
BOTH += ["encoder.whiten=0", "loss.intra=none"]
TEXT = """`make bench-published`: {seeds} seeds, means; at most {minutes:g} minutes a run on two cores. The
queries are the different texts of the unseen clips, each ranks all unseen clips of its task; it counts at k
if one of the first k clips has the text. Chance: of an order at random. Nearest training clip: the query is
the mean embedding of the training clips of the same text, or, where there are none, of those with the most
words in common, in the space of the same run, or of its untrained encoder. Runs saw the training rows
alone. In grid {new} of {queries} queries are sentences that no training clip says; settings were chosen on
a fold of the training rows. In thaisign the two clips of each of 12 words are different signs for it
(variants); which of them is unseen is drawn by the seed. Both are of one source format, as most clips are,
so that formats cannot be held out; and no training word has two clips to choose settings by, which are
those of the recipe."""
Floats = NDArray[np.floating]


class Rows(NamedTuple):
    """Videos with texts, and which of them are unseen."""

    corpus: Corpus
    unseen: NDArray[np.bool_]

    def part(self, unseen: bool) -> Corpus:
        """The unseen videos, or the others."""
        chosen = zip(self.corpus.videos, self.unseen, strict=True)
        return replace(self.corpus, videos=tuple(video for video, new in chosen if new == unseen))


@dataclass(frozen=True)
class Task:
    """A data set, and how it is learnt."""

    rows: Callable[[int], Rows]
    """By the seed."""
    by: str | None
    """The sense by which clips are found; None: all of the encoder."""
    settings: Sequence[str]


def main() -> None:
    """Train, search, write and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tasks", nargs="*", choices=list(TASKS), default=list(TASKS))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--minutes", type=float, default=5.0, help="most time of a run")
    parser.add_argument("--within", action="store_true", help="score a fold of the training rows of grid")
    parser.add_argument("--runs", type=Path, help="keep runs here, and go on with those that are there")
    parser.add_argument("overrides", nargs="*", help="settings, as in optim.epochs=2")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        rows = table(arguments, arguments.runs or Path(scratch))
        if arguments.within or arguments.overrides or set(arguments.tasks) != set(TASKS):
            for row in rows:
                print(row, flush=True)
            return
        grid = sentences(0)
        said = {text_of(video) for video in grid.part(unseen=False).videos}
        asked = {text_of(video) for video in grid.part(unseen=True).videos}
        text = TEXT.format(
            seeds=arguments.seeds, minutes=arguments.minutes, new=len(asked - said), queries=len(asked)
        )
        columns = ["task", "query", "texts", "clips", *(f"R@{rank}" for rank in RANKS), "R@1 by seed"]
        write_table("texts.md", "Words that were learnt", text, columns, rows)


def table(arguments: argparse.Namespace, runs: Path) -> Iterator[str]:
    """All queries of all tasks."""
    for name in ["grid"] if arguments.within else arguments.tasks:
        task, found = TASKS[name], defaultdict[str, list[Floats]](list)
        for seed in range(arguments.seeds):
            rows = fold(task.rows(seed), seed) if arguments.within else task.rows(seed)
            settings = [*BOTH, *task.settings, f"seed={seed}", *arguments.overrides]
            config = load_config("tiny-cpu", settings)
            place = runs / f"{name}{' within' if arguments.within else ''} {seed}"
            run = trained(rows.part(unseen=False), config, place, arguments.minutes)
            learnt, untrained = load_encoder(run, by=task.by), random_encoder(config, by=task.by)
            for query, recalls in scores(rows, learnt, untrained):
                found[query].append(recalls)
        asked = {text_of(video) for video in rows.part(unseen=True).videos}
        for query, values in found.items():
            means = " | ".join(f"{value:.3f}" for value in np.mean(values, axis=0))
            seeds = " ".join(f"{value[0]:.3f}" for value in values)
            yield f"| {name} | {query} | {len(asked)} | {rows.unseen.sum()} | {means} | {seeds} |"


def trained(corpus: Corpus, config: PretrainConfig, path: Path, minutes: float) -> Path:
    """A finished run at a path, made or continued unless it is finished; one of other settings is refused."""
    if (path / "model.safetensors").exists():
        if load_encoder(path).config != config:
            raise SystemExit(f"{path}: was trained with other settings; name another folder with --runs")
        return path
    begun = (path / "config.yaml").exists()
    try:
        pretrain_encoder(corpus, path, config, resume=begun, max_minutes=minutes)
    except Stopped as stopped:
        raise SystemExit(f"{stopped}; give --runs, and the same command again goes on") from stopped
    return path


def scores(
    rows: Rows, learnt: VideoEncoder, untrained: VideoEncoder
) -> Iterator[tuple[str, NDArray[np.float64]]]:
    """Recalls of each kind of query."""
    clips, others = rows.part(unseen=True), rows.part(unseen=False)
    texts = sorted({text_of(video) for video in clips.videos})
    right = np.array([[text_of(video) == text for video in clips.videos] for text in texts])
    likeness = np.array([nearest_texts(text, [text_of(video) for video in others.videos]) for text in texts])
    found, _ = video_features(learnt, clips)
    yield "text", recalls(learnt.embed_text(texts) @ found.T, right)
    yield "nearest training clip", recalls(likeness @ video_features(learnt, others)[0] @ found.T, right)
    plain = likeness @ video_features(untrained, others)[0] @ video_features(untrained, clips)[0].T
    yield "nearest training clip, untrained", recalls(plain, right)
    yield "chance", np.array([chance(right, rank) for rank in RANKS])


def nearest_texts(text: str, others: Sequence[str]) -> NDArray[np.float64]:
    """(n,) weights of the texts that are the same or, where none is, have the most words in common."""
    words = Counter(text.split())
    common = np.array([(other == text) * 1000 + (words & Counter(other.split())).total() for other in others])
    nearest = (common == common.max()).astype(np.float64)
    weights: NDArray[np.float64] = nearest / nearest.sum()
    return weights


def recalls(similarity: Floats, right: NDArray[np.bool_]) -> NDArray[np.float64]:
    """The fraction of (Q, N) queries that have a right clip among the first k, by k."""
    order = np.argsort(-similarity, axis=1, kind="stable")
    ranked = np.take_along_axis(right, order, axis=1)
    return np.array([ranked[:, :rank].any(1).mean() for rank in RANKS])


def chance(right: NDArray[np.bool_], rank: int) -> float:
    """The same of an order at random."""
    clips = right.shape[1]
    missed = [comb(clips - int(count), rank) / comb(clips, rank) for count in right.sum(1)]
    return 1 - float(np.mean(missed))


def text_of(video: Video) -> str:
    """What is said of a video."""
    return video.columns["text"]


def sentences(seed: int) -> Rows:
    """`grid`, with sentences made of their labels; the split is the data set's own."""
    del seed
    corpus = open_corpus(DATA / "grid" / "labels.csv")
    videos = tuple(
        replace(video, columns={"text": sentence(video), "split": video.columns["split"]})
        for video in corpus.videos
    )
    return Rows(
        replace(corpus, videos=videos), np.array([video.columns["split"] == "test" for video in videos])
    )


def sentence(video: Video) -> str:
    """What is said in a clip of grid, but for its letter."""
    words = [video.columns[column] for column in WORDS]
    return " ".join(DIGITS[int(word)] if word.isdigit() else word for word in words)


def signs(seed: int) -> Rows:
    """`thaisign`, by its English words; one clip of each word that has several is unseen."""
    corpus = open_corpus(DATA / "thaisign" / "labels.csv")
    return Rows(corpus, one_of_each([text_of(video) for video in corpus.videos], seed))


def fold(rows: Rows, seed: int) -> Rows:
    """The training rows, a fifth of them unseen."""
    corpus = rows.part(unseen=False)
    unseen = np.zeros(len(corpus), bool)
    unseen[generator(seed, "fold").permutation(len(corpus))[: len(corpus) // 5]] = True
    return Rows(corpus, unseen)


def one_of_each(texts: Sequence[str], seed: int) -> NDArray[np.bool_]:
    """One row of each text that has several, drawn by a seed."""
    places = defaultdict[str, list[int]](list)
    for row, text in enumerate(texts):
        places[text].append(row)
    chosen = np.zeros(len(texts), bool)
    for text, several in places.items():
        if len(several) > 1:
            chosen[generator(seed, "unseen", text).choice(several)] = True
    return chosen


TASKS = {
    "grid": Task(
        rows=sentences,
        by="sound",
        settings=(
            "encoder.name=sora_av",
            "encoder.input=rgb",
            "encoder.look_every=1",
            "encoder.width=4",
            "slice.frames=4",
            "slice.fps=1.34",
            "slice.size=32",
            "augment.size=32",
            "augment.sound_gap=0.1",
            "augment.sound_band=0.1",
            "optim.epochs=60",
        ),
    ),
    "thaisign": Task(
        rows=signs,
        by=None,
        settings=("slice.frames=16", "slice.fps=8", "optim.epochs=30"),
    ),
}

if __name__ == "__main__":
    main()
