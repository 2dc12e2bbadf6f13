"""Find changed excerpts of known videos in a library: ``python -m benchmarks.moments --model SPEC …``.

The videos lie in the folder that SORA_DATA names: handwash, wagon and survfight. Each excerpt is searched for
twice: in the whole library, and in the library without its own video, where everything found is wrong. Then
excerpts are added to the library, and duplicates looked for.
"""

import argparse
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch.nn.functional import adaptive_avg_pool3d, normalize

from sora_video.base.files import write_text
from sora_video.configs.loader import load_config
from sora_video.index.duplicates import find_duplicates
from sora_video.index.library import Library
from sora_video.index.localize import localize
from sora_video.index.query import Query
from sora_video.index.search.search import AGREED, SURE, Hit
from sora_video.pretrain.encoders.aspects import Aspect
from sora_video.pretrain.encoders.embeddings import Embeddings
from sora_video.pretrain.encoders.frozen import VideoEncoder, random_encoder
from sora_video.pretrain.encoders.inputs import Clips
from sora_video.pretrain.encoders.load import load_encoder
from sora_video.pretrain.training.loop import pretrain_encoder
from sora_video.pretrain.video.corpus import Corpus, open_corpus

from .costs import machine
from .excerpts import KINDS, Excerpt, plant
from .real import RESULTS, task_videos

TOP = 10
CHOSEN_ON = 100
"""Videos, the first in the order of seed 0, with whose excerpts the constants of the index were chosen."""
SIDE = 8
"""Of the mean frame that the pixel baseline knows, in pixels."""


class Pixels(VideoEncoder):
    """No encoder: the mean frame of each slice, small, less its mean."""

    @property
    def spans(self) -> tuple[Aspect, ...]:
        """There are none, whatever the network has whose slices it sees."""
        return ()

    def embed_clips(self, clips: Clips) -> NDArray[np.float32]:
        """See :meth:`VideoEncoder.embed_clips`."""
        small = adaptive_avg_pool3d(clips.clips, (1, SIDE, SIDE)).flatten(1)
        found: NDArray[np.float32] = normalize(small - small.mean(1, keepdim=True), dim=1).numpy()
        return found


class Way(NamedTuple):
    """How a library is asked."""

    name: str = ""
    by: str | None = None
    """Aspect to compare by alone."""
    agree: bool = False
    """Whether aspects are to agree."""


WHOLE = Way()


@dataclass(frozen=True)
class Outcome:
    """What became of one excerpt."""

    kind: str
    cosine_rank: float
    """Of its video, from 1, by the cosine of the best pair of slices; infinity where it is not found."""
    rank: float
    """The same by lead."""
    iou: float
    """Intersection over union of the best span in its video; 0 where that was not found."""
    speed_error: float
    """Difference from the true speed; NaN where its video was not found."""
    sure: bool
    """Whether the first hit is said to be where it comes from."""
    wrongly_sure: bool
    """The same, when its own video is not there."""


@dataclass(frozen=True)
class Copies:
    """What became of excerpts that lie in the library themselves."""

    found: NDArray[np.bool_]
    """Whether each is paired with its video."""
    others: int
    """Pairs of two videos, without an excerpt."""


def main() -> None:
    """Plant, search, write and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", action="append", help="NAME=SPEC of an encoder; else a run is pretrained")
    parser.add_argument("--choose", action="store_true", help="excerpts of the videos that are for choosing")
    parser.add_argument("--excerpts", type=int, default=100, help="videos to take one from")
    parser.add_argument("--out", type=Path, default=RESULTS / "moments.md", help="file to write")
    parser.add_argument("overrides", nargs="*", help="settings to pretrain with, as in optim.epochs=10")
    arguments = parser.parse_args()
    corpus = open_corpus(task_videos())
    first = 0 if arguments.choose else CHOSEN_ON
    places = np.random.default_rng(0).permutation(len(corpus))[first : first + arguments.excerpts]
    with tempfile.TemporaryDirectory() as scratch:
        rng, folder = np.random.default_rng(1), Path(scratch) / "excerpts"
        excerpts = [found for place in places for found in plant(corpus.videos[place], folder, rng)]
        lines = []
        for name, encoder in encoders_of(arguments, corpus, Path(scratch)).items():
            library = make_library(Path(scratch) / name, directed(encoder.embed(corpus)))
            embedded = directed(encoder.embed([excerpt.path for excerpt in excerpts]))
            print(f"{name}: embedded", flush=True)
            searched = {
                way: [search(library, embedded, excerpt, way) for excerpt in excerpts]
                for way in ways_of(library)
            }
            for way, outcomes in searched.items():
                lines += rows(f"{name}{way.name}", outcomes, duplicates(library, embedded, excerpts, way))
                print("\n".join(lines[-1 - len(KINDS) :]), flush=True)
    table = markdown(lines, corpus, len(places), " ".join(arguments.model or []))
    print(table)
    write_text(arguments.out, table)


def planted_excerpts(folder: Path, *, choose: bool) -> tuple[list[Excerpt], str]:
    """Excerpts of 100 videos that constants are chosen with, or of 100 others; and what these are called."""
    corpus = open_corpus(task_videos())
    first = 0 if choose else CHOSEN_ON
    places = np.random.default_rng(0).permutation(len(corpus))[first : first + CHOSEN_ON]
    rng, what = np.random.default_rng(1), f"excerpts from {first}"
    return [found for place in places for found in plant(corpus.videos[place], folder / what, rng)], what


def encoders_of(arguments: argparse.Namespace, corpus: Corpus, scratch: Path) -> dict[str, VideoEncoder]:
    """The encoders that are named, or one that is pretrained; an untrained one, and pixels."""
    config = load_config("tiny-cpu", arguments.overrides)
    untrained = random_encoder(config, draw=1)
    named = dict(model.split("=", 1) for model in arguments.model or [])
    named = named or {"trained": str(pretrain_encoder(corpus, scratch / "run", config).path)}
    return {
        **{name: load_encoder(spec) for name, spec in named.items()},
        "untrained": untrained,
        "pixels": Pixels(untrained.network, config),
    }


def directed(embeddings: Embeddings) -> Embeddings:
    """The same, where an untrained encoder sees nothing, as in film that stands still, in one direction."""
    nothing = np.linalg.norm(embeddings.vectors, axis=1) < 0.5
    embeddings.vectors[nothing] = np.eye(1, embeddings.dim)
    return embeddings


def make_library(path: Path, embeddings: Embeddings) -> Library:
    """A library of a corpus."""
    library = Library.create(path, embeddings.fingerprint, embeddings.dim)
    library.add(embeddings)
    return library


def ways_of(library: Library) -> list[Way]:
    """By whole embeddings, by each aspect alone, and by whole ones with all aspects agreeing."""
    alone = [Way(f", by {aspect.name}", by=aspect.name) for aspect in library.aspects]
    return [WHOLE, *alone, *[Way(", agreeing", agree=True)] * bool(alone)]


def name_of(excerpt: Excerpt) -> str:
    """The name under which an excerpt is embedded."""
    return f"{excerpt.kind}/{excerpt.path.name}"


def find(
    library: Library, embedded: Embeddings, excerpt: Excerpt, way: Way = WHOLE
) -> tuple[Query, list[Hit], Hit]:
    """The question for one excerpt, what is found, and the first of what is found without its own video."""
    slices = embedded.select(embedded.video_id == name_of(excerpt))
    query = Query(slices, top=TOP, by=way.by, agree=way.agree)
    absent = replace(query, top=1, exclude=excerpt.video_id)
    return query, localize(library, query), localize(library, absent)[0]


def search(library: Library, embedded: Embeddings, excerpt: Excerpt, way: Way = WHOLE) -> Outcome:
    """Search for one excerpt, and hold what is found against what was planted."""
    query, hits, absent = find(library, embedded, excerpt, way)
    rank, iou, speed_error = rank_of(excerpt, hits), 0.0, np.nan
    if rank < np.inf:
        hit = hits[int(rank) - 1]
        span = (hit.aligned or hit.moments)[0]
        shared = min(span.end_s, excerpt.end_s) - max(span.start_s, excerpt.start_s)
        iou = max(0.0, shared) / (max(span.end_s, excerpt.end_s) - min(span.start_s, excerpt.start_s))
        speed_error = hit.aligned[0].speed - KINDS[excerpt.kind][2] if hit.aligned else np.nan
    cosine_rank = rank_of(excerpt, library.search(query))
    return Outcome(excerpt.kind, cosine_rank, rank, iou, speed_error, hits[0].sure, absent.sure)


def rank_of(excerpt: Excerpt, hits: Sequence[Hit]) -> float:
    """Place of an excerpt's video, from 1; infinity where it was not found."""
    names = [hit.video_id for hit in hits]
    return names.index(excerpt.video_id) + 1 if excerpt.video_id in names else np.inf


def duplicates(
    library: Library, embedded: Embeddings, excerpts: Sequence[Excerpt], way: Way = WHOLE
) -> Copies:
    """Add the excerpts of every fifth video, and look for duplicates."""
    kinds = len(KINDS)
    planted = [one for start in range(0, len(excerpts), 5 * kinds) for one in excerpts[start : start + kinds]]
    names = [name_of(excerpt) for excerpt in planted]
    library.add(embedded.select(np.isin(embedded.video_id.astype(str), names)))
    groups = find_duplicates(library, by=way.by, agree=way.agree)
    pairs = {frozenset((pair.query_id, pair.video_id)) for group in groups for pair in group.pairs}
    found = [frozenset((name_of(excerpt), excerpt.video_id)) in pairs for excerpt in planted]
    return Copies(np.array(found), sum(pair.isdisjoint(names) for pair in pairs))


NUMBERS: dict[str, Callable[[Sequence[Outcome]], float]] = {
    "R@1 by cosine": lambda rows: float(np.mean([row.cosine_rank == 1 for row in rows])),
    "R@1": lambda rows: float(np.mean([row.rank == 1 for row in rows])),
    "R@5": lambda rows: float(np.mean([row.rank <= 5 for row in rows])),
    "R@10": lambda rows: float(np.mean([row.rank <= 10 for row in rows])),
    "span IoU": lambda rows: float(np.mean([row.iou for row in rows])),
    "IoU > 0.5": lambda rows: float(np.mean([row.iou > 0.5 for row in rows])),
    "speed error": lambda rows: float(np.nanmean(np.abs([row.speed_error for row in rows]))),
    "sure": lambda rows: float(np.mean([row.sure for row in rows])),
    "sure but wrong": lambda rows: float(np.mean([row.sure and row.rank != 1 for row in rows])),
    "sure, video absent": lambda rows: float(np.mean([row.wrongly_sure for row in rows])),
}


def rows(name: str, outcomes: Sequence[Outcome], copies: Copies) -> list[str]:
    """One encoder by kinds of change, all of them last."""
    lines = []
    for kind in (*KINDS, "all"):
        own = [outcome for outcome in outcomes if kind in (outcome.kind, "all")]
        numbers = [f"{number(own):.3f}" for number in NUMBERS.values()]
        found = copies.found if kind == "all" else copies.found[list(KINDS).index(kind) :: len(KINDS)]
        paired = [f"{found.mean():.3f}", str(copies.others) if kind == "all" else ""]
        lines.append(f"| {' | '.join([name, kind, *numbers, *paired])} |")
    return lines


def markdown(lines: Sequence[str], corpus: Corpus, videos: int, encoder: str) -> str:
    """The table of all encoders and kinds of change."""
    columns = ["", "excerpt", *NUMBERS, "paired", "other pairs"]
    return f"""# Excerpts found in a library

`python -m benchmarks.moments`; {len(corpus)} videos, excerpts of {videos} of them; encoders: {
        encoder or "pretrained with tiny-cpu"
    }; untrained and pixels see what tiny-cpu sees; machine: {machine()}.
Excerpts of 2 to 6 seconds (at most 0.7 of their video), planted in five ways. R@k: the video is among the
first k by lead, or by the cosine of the best pair of slices. Span IoU: of the best span in the video, 0
where that is not among ten. Speed error: mean absolute. Sure: the first hit has a lead of {SURE:g} or more;
agreeing, one of {AGREED:g} or more by each aspect as well.
Sure but wrong: and is another video. Sure, video absent: the same search without the excerpt's own video is
sure. Paired: of the excerpts of every fifth video, added to the library, the share that `sora duplicates`
pairs with their video; other pairs: how many pairs of two videos it finds, of which some show the same and
some do not. Encoders of two streams are asked by look and by motion alone too, and with both agreeing.
Pixels: the mean frame of each slice, small. The constants were chosen with excerpts of {
        CHOSEN_ON
    } other videos.

| {" | ".join(columns)} |
{"|---" * len(columns)}|
""" + "".join(f"{line}\n" for line in lines)


if __name__ == "__main__":
    main()
