"""What jobs do; each can be begun again after its process was killed, and leaves alone what is done."""

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sora_video.base.errors import ConfigError, CorpusError, LabelsError
from sora_video.base.plain import plain
from sora_video.base.unfinished import unfinished_folder
from sora_video.index.library import Library
from sora_video.pretrain.encoders.embeddings import Embeddings, write_embeddings
from sora_video.pretrain.video.corpus import Corpus, Video, open_corpus
from sora_video.pretrain.video.quarantine import Failure

from ..labels import Labels, labels_path
from ..maps import map_path
from ..refusals import told
from .store import Job, Jobs

__all__ = ["KINDS", "NO_FOLDER", "READ_ONLY", "Work", "head_folder"]

NO_FOLDER = (
    "add: files are added from the server's folder of videos alone, and it has none; start it with --videos, "
    "or send a file to search for it without adding it"
)
BATCH = 16
"""Videos that are added in one commit; a kill loses no more work."""


@dataclass(frozen=True, kw_only=True)
class Work:
    """What a job has to do, and where."""

    jobs: Jobs
    job: Job
    library: Path
    state: Path
    head: Path | None
    videos: Path | None

    @property
    def wanted(self) -> dict[str, Any]:
        """What was asked for."""
        return self.job.wanted

    @property
    def roots(self) -> list[Path]:
        """Folders that no answer may name."""
        return [Path.home(), *(path for path in (self.library, self.state, self.head, self.videos) if path)]

    def told_failures(self, failures: Sequence[Failure]) -> list[dict[str, str]]:
        """What could not be read, without paths of the machine."""
        return [
            {"video_id": failure.video_id, "reason": told(failure.reason, self.roots)} for failure in failures
        ]

    def advance(self, done: int, total: int) -> None:
        """Tell how far it is."""
        self.jobs.advance(self.job.id, done, total)


def add(work: Work) -> dict[str, Any]:
    """Add videos of the folder of videos; those that are there already are left as they are."""
    from sora_video.index.build import add_to_library

    corpus = corpus_of(work)
    counts, failures = {"added": 0, "replaced": 0, "unchanged": 0, "ignored": 0}, list[Failure]()
    for number, batch in enumerate(batches(corpus.videos)):
        work.advance(number * BATCH, len(corpus.videos))
        try:
            change = add_to_library(Library.open(work.library), dataclasses.replace(corpus, videos=batch))
        except CorpusError as error:
            if not error.failures:
                raise
            failures += error.failures
            continue
        failures += change.failures
        for name, count in change.added._asdict().items():
            counts[name] += count
    work.advance(len(corpus.videos), len(corpus.videos))
    return {**counts, "unreadable": work.told_failures(failures)}


def batches(videos: Sequence[Video]) -> Iterator[tuple[Video, ...]]:
    """Videos in parts, each to be committed alone."""
    for first in range(0, len(videos), BATCH):
        yield tuple(videos[first : first + BATCH])


def corpus_of(work: Work) -> Corpus:
    """The videos to add: those below a folder, or those that are named.

    Raises:
        ConfigError: the server has no folder of videos.
        CorpusError: there is no video.
    """
    if work.videos is None:
        raise ConfigError(NO_FOLDER)
    corpus = open_corpus(work.videos)
    below, named = work.wanted.get("folder") or "", work.wanted.get("video_ids")
    names = None if named is None else set(named)
    videos = tuple(
        video
        for video in corpus.videos
        if (not below or video.video_id.startswith(f"{below.strip('/')}/"))
        and (names is None or video.video_id in names)
    )
    if not videos:
        raise CorpusError(
            f"add: folder {below!r}: holds no such video below the server's folder of videos, from which "
            "alone files are added; put them there, or correct the name"
        )
    return dataclasses.replace(corpus, videos=videos)


def remove(work: Work) -> dict[str, Any]:
    """Remove videos, or erase them; those that are gone already are left out."""
    library = Library.open(work.library)
    held = library.contents(work.wanted["video_ids"])
    names = [name for name in work.wanted["video_ids"] if name in held]
    if not names and work.job.attempts <= 1:
        raise ConfigError("remove: the library has none of these videos; correct the names")
    if names:
        library.remove(names, purge=work.wanted["purge"], ignore=work.wanted["ignore"])
    return {"removed": len(names)}


def train(work: Work) -> dict[str, Any]:
    """Train a classifier on the labels and the embeddings that the library has."""
    from sora_video.downstream.classify.fit import make_recipe
    from sora_video.downstream.classify.train import train_classifier

    wanted, library = work.wanted, Library.open(work.library)
    corpus = Labels(labels_path(work.library), library, work.videos).corpus()
    names = list(dict.fromkeys(video.video_id for video in corpus.videos))
    if not names:
        raise LabelsError("train: no video of the library has a label; set some first")
    target = work.state / "heads" / wanted["name"]
    target.parent.mkdir(parents=True, exist_ok=True)
    with unfinished_folder(target) as scratch:
        write_embeddings(embeddings_of(library, names), scratch / "rows.parquet")
        done = train_classifier(
            corpus,
            scratch / "rows.parquet",
            scratch / "head",
            columns=[wanted["label"]],
            recipe=make_recipe(wanted["head"], wanted["pool"], "balanced", 0, []),
        )
        if target.exists():
            target.rename(scratch / "before")
        (scratch / "head").rename(target)
    return {
        "name": wanted["name"],
        **done.classifier.as_json(),
        "unreadable": work.told_failures(done.failures),
    }


def classify(work: Work) -> dict[str, Any]:
    """Classify videos of the library by the embeddings that it has."""
    from sora_video.downstream.classify.predict import classify_embeddings
    from sora_video.downstream.classify.store import load_classifier

    library = Library.open(work.library)
    classifier = load_classifier(head_folder(work.state, work.head, work.wanted["head"]))
    videos = []
    for number, name in enumerate(work.wanted["video_ids"]):
        work.advance(number, len(work.wanted["video_ids"]))
        videos.append(classify_embeddings(classifier, library.embeddings(name)).as_json())
    work.advance(len(videos), len(videos))
    return {"videos": plain(videos), "fingerprint": classifier.fingerprint}


def draw_map(work: Work) -> dict[str, Any]:
    """Map the library as it is now; the map is kept beside jobs, and replaces an older one."""
    from sora_video.index.map import map_library, write_map

    made = map_library(Library.open(work.library))
    write_map(map_path(work.state), made)
    return {"map": made.map_id, "videos": len(made.video_ids)}


def head_folder(state: Path, head: Path | None, name: str | None) -> Path:
    """The folder of a classifier.

    Args:
        state: of the server.
        head: that the server was started with.
        name: of one that a job trained; None: the one that the server was started with.

    Raises:
        LabelsError: there is none.
    """
    if name is None:
        if head is None:
            raise LabelsError("head: name a classifier that a job trained, or start the server with --head")
        return head
    return state / "heads" / name


def embeddings_of(library: Library, names: Sequence[str]) -> Embeddings:
    """The slices of several videos."""
    tables = [library.embeddings(name) for name in names]
    return dataclasses.replace(
        tables[0],
        video_id=np.concatenate([table.video_id for table in tables]),
        slice_no=np.concatenate([table.slice_no for table in tables]),
        start_s=np.concatenate([table.start_s for table in tables]),
        end_s=np.concatenate([table.end_s for table in tables]),
        vectors=np.concatenate([table.vectors for table in tables]),
        still=np.concatenate([table.still for table in tables]),
    )


KINDS: dict[str, Callable[[Work], dict[str, Any]]] = {
    "add": add,
    "remove": remove,
    "train": train,
    "classify": classify,
    "map": draw_map,
}
READ_ONLY = ("map",)
"""Jobs that change neither library nor labels nor classifiers."""
