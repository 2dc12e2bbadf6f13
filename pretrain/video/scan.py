"""What a corpus holds, and what of it cannot be read; as a table that other commands take."""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from sora_video.base.processes import worker_count
from sora_video.base.progress import Bar

from .changed import state
from .check import Properties, check_file
from .corpus import Corpus, Video
from .quarantine import Failure
from .readers.limits import Limits
from .readers.readers import Request, read_apart
from .scan_table import COLUMNS, Row, absolute, read_table, write_table

__all__ = ["Scan", "ScannedVideo", "scan"]

SAVE_S = 30.0
"""Seconds between two writings of the table."""


@dataclass(frozen=True)
class ScannedVideo(Properties):
    """One readable video."""

    video_id: str


@dataclass(frozen=True)
class Scan:
    """A corpus, video by video."""

    videos: tuple[ScannedVideo, ...]
    failures: tuple[Failure, ...]
    ignored: Mapping[str, int]
    """Files beside the videos that are not taken for video, by the ending of their names."""

    @property
    def hours(self) -> float:
        """Hours of readable video."""
        return sum(video.duration_s for video in self.videos) / 3600

    def count(self, key: Callable[[ScannedVideo], str]) -> dict[str, int]:
        """Readable videos by a property, the most frequent first."""
        return dict(Counter(key(video) for video in self.videos).most_common())

    def as_json(self) -> dict[str, Any]:
        """The scan as plain values."""
        return {
            "videos": [asdict(video) for video in self.videos],
            "unreadable": [asdict(failure) for failure in self.failures],
            "ignored": dict(self.ignored),
            "hours": self.hours,
        }


def scan(
    corpus: Corpus, table: Path | None = None, workers: int | None = None, limits: Limits | None = None
) -> Scan:
    """Read every video's properties, some of its frames and its sound.

    Args:
        corpus: the videos; a file that several rows name is scanned once.
        table: a ``.parquet`` file to write a row a video to, from time to time and at the end. Videos that it
            holds already and that did not change are not read again.
        workers: processes; None: one a processor, at most 8.
        limits: what reading a file may take.

    Returns:
        Properties of those that can be read, and reasons for those that cannot.

    Raises:
        CorpusError: the table is of something else.
        StorageError: the table cannot be written.
    """
    unique = {video.video_id: video for video in corpus.videos}
    rows = known(table, unique.values()) if table else {}
    missing = [video for name, video in unique.items() if name not in rows]
    requests = (Request(n, check_file, video.path.absolute(), video.path) for n, video in enumerate(missing))
    count = min(worker_count(workers), len(missing))
    saved, ended = time.monotonic(), 0
    try:
        with Bar("scan", len(missing), "videos") as bar:
            for number, kind, value, _ in read_apart(requests, count, limits):
                if kind == "done":
                    continue
                rows[missing[number].video_id] = row_of(missing[number], value)
                bar.advance(ended := ended + 1)
                if table and time.monotonic() - saved > SAVE_S:
                    write_table(table, rows.values())
                    saved = time.monotonic()
    finally:  # after Ctrl-C too
        if table:
            write_table(table, [rows[name] for name in unique if name in rows])
    return result([rows[name] for name in unique], corpus.ignored)


def result(rows: Iterable[Row], ignored: Mapping[str, int]) -> Scan:
    """What rows say."""
    names = [field.name for field in fields(ScannedVideo)]
    videos = [ScannedVideo(**{name: row[name] for name in names}) for row in rows if row["reason"] is None]
    failures = [Failure(row["video_id"], row["reason"]) for row in rows if row["reason"] is not None]
    return Scan(tuple(videos), tuple(failures), ignored)


def row_of(video: Video, found: Properties | str) -> Row:
    """What the table says of a video."""
    size, mtime_ns = state(video.path) or (None, None)
    row = dict.fromkeys(COLUMNS) | {
        "video_id": video.video_id,
        "path": absolute(video.path),
        "bytes": size,
        "mtime_ns": mtime_ns,
    }
    return row | ({"reason": found} if isinstance(found, str) else asdict(found))


def known(table: Path, videos: Iterable[Video]) -> dict[str, Row]:
    """The rows of a table whose videos are as they were."""
    before = {row["video_id"]: row for row in read_table(table)} if table.exists() else {}
    return {
        video.video_id: before[video.video_id]
        for video in videos
        if video.video_id in before
        and before[video.video_id]["path"] == absolute(video.path)
        and (state(video.path) or (None, None))
        == (before[video.video_id]["bytes"], before[video.video_id]["mtime_ns"])
    }
