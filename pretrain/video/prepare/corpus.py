"""A corpus transcoded once to the size and frame rate that training needs."""

import os
from collections.abc import Mapping
from contextlib import closing, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from sora_video.base.errors import ConfigError, CorpusError, RunError, StorageError
from sora_video.base.processes import sigterm_interrupts, worker_count
from sora_video.base.progress import Bar
from sora_video.base.unfinished import sweep

from ..corpus import Corpus, Source, open_corpus
from ..quarantine import Failure
from ..readers.readers import Request, read_apart
from .account import Account, Entry, open_account
from .outputs import name_outputs, write_manifest
from .picture import Settings
from .transcode import transcode_file

__all__ = ["Prepared", "prepare_corpus"]

Task = tuple[Path, Path, Settings]


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """What a prepared folder holds of a corpus."""

    folder: Path
    videos: int
    """Videos of the corpus that are ready."""
    made: int
    """Those of them that were made just now."""
    failures: tuple[Failure, ...]
    manifest: Path | None
    """Where labels and spans are, if the corpus has any."""
    strays: tuple[str, ...]
    """Files in the folder that earlier runs made of videos which this corpus does not have."""

    def as_json(self) -> dict[str, Any]:
        """The same as plain values."""
        manifest = None if self.manifest is None else str(self.manifest)
        return {**asdict(self), "folder": str(self.folder), "manifest": manifest}


def prepare_corpus(
    source: Source,
    folder: str | os.PathLike[str],
    *,
    size: int = 128,
    fps: float = 16.0,
    class_folders: bool = False,
    workers: int | None = None,
) -> Prepared:
    """Write a small copy of every video of a corpus: H.264 in MP4 that can be entered at every 8th frame.

    Copies are upright, keep the aspect ratio, presentation times, length and sound, and are named like the
    videos with the ending ``.mp4``, so that the folder is a corpus itself. Labels, groups, splits and spans
    go to ``manifest.csv`` there. The same call continues what was stopped and leaves out what is done.

    Args:
        source: what :func:`sora_video.pretrain.video.corpus.open_corpus` takes.
        folder: where to write; outside of the corpus.
        size: short side in pixels, even; smaller videos are not enlarged.
        fps: most frames a second; others are left out, the rest stay at their own times.
        class_folders: take the first folder below the root as each video's label.
        workers: processes, each with one thread; None: one a processor, at most 8.

    Returns:
        What the folder holds, and the videos that could not be read.

    Raises:
        ConfigError: size, fps or workers cannot be met.
        CorpusError: there is no video, none can be read, or the folder lies in the corpus.
        RunError: the folder holds something else or is in use, or the work was stopped by a signal.
        StorageError: the folder cannot be written.
    """
    settings = Settings(size, fps)
    if workers is not None and workers < 1:
        raise ConfigError(f"workers={workers}: must be at least 1")
    corpus = open_corpus(source, class_folders=class_folders)
    place = Path(folder).expanduser()
    refuse_inside(place, source, corpus.root)
    with open_account(place, settings) as account:
        tasks = plan(corpus, account, place, settings)
        sweep_all(place)
        try:
            with sigterm_interrupts():
                made = work(tasks, account, worker_count(workers))
        except KeyboardInterrupt:
            raise RunError(f"{place}: stopped; the same command continues") from None
        finally:
            sweep_all(place)
        return conclude(corpus, account, place, made)


def refuse_inside(place: Path, source: Source, root: Path) -> None:
    """Refuse a folder whose videos the corpus would have the next time.

    Raises:
        CorpusError: it is such a folder.
    """
    searched = isinstance(source, Corpus) or (
        isinstance(source, str | os.PathLike)
        and (Path(source).expanduser().is_dir() or "**" in os.fspath(source))
    )
    within = [place.resolve(), *(place.resolve().parents if searched else ())]
    if root.resolve() in within:
        raise CorpusError(f"--out {place}: lies in the corpus {root}; choose a folder outside of it")


def plan(corpus: Corpus, account: Account, place: Path, settings: Settings) -> dict[Task, Entry]:
    """What is to be done, each with the entry that says it is; several rows may name one file."""
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
        if account.entries.get(video_id) != done or not (place / output).is_file():
            tasks[paths[video_id], place / output, settings] = done
    return tasks


def stamp(path: Path) -> tuple[int, int] | tuple[None, None]:
    """Size and time of change by which a file is known to be the same."""
    try:
        found = path.stat()
    except OSError:
        return None, None
    return found.st_size, found.st_mtime_ns


def work(tasks: Mapping[Task, Entry], account: Account, workers: int) -> int:
    """Do all tasks, each entered in the account when it is done; returns how many videos were made."""
    if not tasks:
        return 0
    frames = made = ended = 0
    numbered = list(tasks)
    requests = (Request(number, transcode_file, task, task[0]) for number, task in enumerate(numbered))
    with (
        Bar("prepare", len(tasks), "frames") as bar,
        closing(read_apart(requests, min(workers, len(tasks)))) as answers,
    ):
        for number, kind, value in answers:
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


def sweep_all(place: Path) -> None:
    """Delete what was under way when a run ended, in all folders."""
    for folder, _, _ in os.walk(place):
        sweep(Path(folder))


def conclude(corpus: Corpus, account: Account, place: Path, made: int) -> Prepared:
    """Write the manifest and say what the folder holds.

    Raises:
        CorpusError: it holds nothing of the corpus.
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
        folder=place,
        videos=len(outputs),
        made=made,
        failures=tuple(failures),
        manifest=write_manifest(corpus.videos, outputs, place),
        strays=tuple(entry.output for entry in others if (place / entry.output).is_file()),
    )
