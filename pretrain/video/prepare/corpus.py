"""A corpus transcoded once to the size and frame rate that training needs."""

import os
from collections.abc import Mapping
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sora_video.base.errors import ConfigError, CorpusError, StorageError
from sora_video.base.plain import plain
from sora_video.base.processes import worker_count
from sora_video.base.progress import Bar
from sora_video.base.unfinished import sweep

from ..corpus import Corpus, Source, open_corpus
from ..quarantine import Failure
from ..readers.limits import Limits
from ..readers.readers import Request, read_apart
from ..spelling import one_spelling
from .account import Account, Entry, open_account
from .outputs import name_outputs, write_manifest
from .picture import Settings
from .transcode import transcode_file

__all__ = ["Prepared", "prepare_corpus", "refuse_inside"]

Task = tuple[Path, Path, Settings]


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """The content of a prepared folder."""

    folder: Path
    videos: int
    """Videos of the corpus that the folder has."""
    made: int
    """How many of them were made by this call."""
    failures: tuple[Failure, ...]
    manifest: Path | None
    """The manifest with labels and spans, if the corpus has any."""
    strays: tuple[str, ...]
    """Files in the folder that earlier calls made of videos which this corpus does not have."""

    def as_json(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        values: dict[str, Any] = plain(self)
        unreadable = values.pop("failures")
        return {**values, "unreadable": unreadable}


def prepare_corpus(
    source: Source,
    folder: str | os.PathLike[str],
    *,
    size: int = 128,
    fps: float = 16.0,
    class_folders: bool = False,
    join_labels: bool = False,
    workers: int | None = None,
    limits: Limits | None = None,
) -> Prepared:
    """Write a small copy of every video of a corpus: H.264 in MP4 with a keyframe every 8 frames.

    Copies are upright, keep the aspect ratio, presentation times, length and sound, and are named like the
    videos with the ending ``.mp4``, so that the folder is a corpus itself. Labels, groups, splits and spans
    go to ``manifest.csv`` there. A call that was stopped is continued by the same call.

    Args:
        source: what :func:`sora_video.pretrain.video.corpus.open_corpus` takes.
        folder: where to write; outside of the corpus.
        size: short side in pixels, even; smaller videos are not enlarged.
        fps: most frames per second; others are left out, the rest keep their times.
        class_folders: take the first folder below the root as each video's label.
        join_labels: join such labels that differ only in white space, case or Unicode form, in the manifest;
            False: refuse them.
        workers: processes, each with one thread; None: one per processor, at most 8.
        limits: what reading and copying a video may take.

    Returns:
        What the folder holds, and the videos that could not be read.

    Raises:
        ConfigError: size, fps or workers is out of range.
        CorpusError: there is no video, none can be read, or the folder is inside the corpus.
        LabelsError: folders of classes look alike.
        RunError: the folder holds something else or is in use.
        StorageError: the folder cannot be written.
    """
    settings = Settings(size, fps)
    if workers is not None and workers < 1:
        raise ConfigError(f"workers={workers}: must be at least 1")
    corpus = open_corpus(source, class_folders=class_folders)
    if class_folders:
        corpus = one_spelling(corpus, join=join_labels)
    folder = Path(folder).expanduser()
    refuse_inside("--out", folder, source, corpus.root)
    with open_account(folder, settings) as account:
        tasks = plan(corpus, account, folder, settings)
        sweep_all(folder)
        try:
            made = work(tasks, account, worker_count(workers), limits)
        finally:
            sweep_all(folder)
        return conclude(corpus, account, folder, made)


def refuse_inside(option: str, target: Path, source: Source, root: Path) -> None:
    """Refuse a folder whose videos the corpus would include the next time.

    Args:
        option: that names the folder.
        target: the folder.
        source: the corpus as it was named.
        root: its root.

    Raises:
        CorpusError: it is such a folder.
    """
    searched = isinstance(source, Corpus) or (
        isinstance(source, str | os.PathLike)
        and (Path(source).expanduser().is_dir() or "**" in os.fspath(source))
    )
    within = [target.resolve(), *(target.resolve().parents if searched else ())]
    if root.resolve() in within:
        raise CorpusError(f"{option} {target}: is inside the corpus {root}; choose a folder outside of it")


def plan(corpus: Corpus, account: Account, folder: Path, settings: Settings) -> dict[Task, Entry]:
    """Tasks, each with the entry to write when it is done; several rows may name one file."""
    paths = {video.video_id: video.path for video in corpus.videos}
    known = {video_id: entry.output for video_id, entry in account.entries.items()}
    tasks = {}
    for video_id, output in name_outputs(paths, known).items():
        size, mtime_ns = stamp(paths[video_id])
        done = Entry(
            video_id=video_id,
            output=output,
            status="done",
            reason=None,
            source_bytes=size,
            source_mtime_ns=mtime_ns,
        )
        if account.entries.get(video_id) != done or not (folder / output).is_file():
            tasks[paths[video_id], folder / output, settings] = done
    return tasks


def stamp(path: Path) -> tuple[int, int] | tuple[None, None]:
    """Size and modification time, by which a file is recognised."""
    try:
        status = path.stat()
    except OSError:
        return None, None
    return status.st_size, status.st_mtime_ns


def work(tasks: Mapping[Task, Entry], account: Account, workers: int, limits: Limits | None) -> int:
    """Do all tasks, each entered in the account when it is done; returns how many videos were made."""
    if not tasks:
        return 0
    frames = made = ended = 0
    numbered = list(tasks)
    requests = (
        Request(number, transcode_file, (source.absolute(), output.absolute(), settings), source)
        for number, (source, output, settings) in enumerate(numbered)
    )
    with (
        Bar("prepare", len(tasks), "frames") as bar,
        closing(read_apart(requests, min(workers, len(tasks)), limits)) as answers,
    ):
        for number, kind, value, _ in answers:
            task = numbered[number]
            if isinstance(value, StorageError):
                raise value
            if kind == "item":
                account.add(tasks[task])
                made, frames = made + 1, frames + value
                continue
            if kind == "failed":
                with suppress(OSError):
                    task[1].unlink()  # made of the video as it was before
                account.add(replace(tasks[task], status="failed", reason=value))
            ended += 1
            bar.advance(ended, frames)
    return made


def sweep_all(folder: Path) -> None:
    """Delete unfinished files of killed processes in a folder and all folders in it."""
    for inner, _, _ in os.walk(folder):
        sweep(Path(inner))


def conclude(corpus: Corpus, account: Account, folder: Path, made: int) -> Prepared:
    """Write the manifest and describe the folder.

    Raises:
        CorpusError: it holds no video of the corpus.
    """
    wanted = dict.fromkeys(video.video_id for video in corpus.videos)
    entries = [account.entries[video_id] for video_id in wanted]
    outputs = {entry.video_id: entry.output for entry in entries if entry.status == "done"}
    failures = [Failure(entry.video_id, entry.reason) for entry in entries if entry.reason]
    if not outputs:
        raise CorpusError(
            f"corpus {corpus.root}: none of its {len(wanted)} videos can be read; the first is "
            f"{failures[0].video_id}: {failures[0].reason}; see `sora scan`"
        )
    others = [entry for entry in account.entries.values() if entry.video_id not in wanted]
    return Prepared(
        folder=folder,
        videos=len(outputs),
        made=made,
        failures=tuple(failures),
        manifest=write_manifest(corpus.videos, outputs, folder),
        strays=tuple(entry.output for entry in others if (folder / entry.output).is_file()),
    )
