"""A search as one self-contained HTML file: frames of the query above frames of what was found."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from sora_video.base.errors import VideoError
from sora_video.base.page import Strip, write_page
from sora_video.pretrain.video.corpus import Video
from sora_video.pretrain.video.strip import frame_strip

from ..store.video_source import VideoSource
from .search import Hit

__all__ = ["write_gallery"]

MOST_PARTS = 4
"""Shown of one video; the best."""


@dataclass(frozen=True)
class Part:
    """A span of a hit, beside the part of the query that it is."""

    found: Strip
    query: Strip | None = None


@dataclass(frozen=True)
class Shown:
    """A hit as the page shows it."""

    title: str
    parts: Sequence[Part]


def write_gallery(
    path: Path, query: Video, hits: Sequence[Hit], sources: Mapping[str, VideoSource | None]
) -> None:
    """Draw what a search found.

    Args:
        path: the HTML file.
        query: the video, or the span of one, that was looked for.
        hits: with their moments and alignments, see :func:`sora_video.index.localize.localize`.
        sources: where the hits' videos came from, by name; of those that are not there the page says so.

    Raises:
        StorageError: the disk refused the write.
    """
    path = path.expanduser()
    shown = [
        Shown(f"{rank}. {hit.video_id}{standing(hit)}", parts_of(hit, query.path, sources[hit.video_id]))
        for rank, hit in enumerate(hits, 1)
    ]
    write_page(
        path,
        __package__,
        "gallery.html",
        title=f"What is like {query.path.name}",
        lead=f"{len(hits)} videos found, best first; the frames are spread evenly over each span.",
        query=strip(query.path, "query", query.start_s, query.end_s or query.start_s),
        hits=shown,
    )


def standing(hit: Hit) -> str:
    """How far a hit stands out, in words."""
    if hit.lead is None:
        return f", cosine {hit.cosine:.3f}"
    return f", lead {hit.lead:.2f}{': stands out' if hit.sure else ''}"


def parts_of(hit: Hit, query: Path, source: VideoSource | None) -> list[Part]:
    """The aligned spans of a hit beside their query's, else its moments."""
    if source is None:
        note = f"no frames: the folder of {hit.video_id!r} is not known; name it with --videos"
        return [Part(Strip("", "found", note))]
    path = source.path(hit.video_id)
    if not Path(os.path.normpath(path)).is_relative_to(os.path.normpath(source.root)):
        note = (
            f"no frames: {hit.video_id!r} lies outside of {source.root}; name a folder above it with --videos"
        )
        return [Part(Strip("", "found", note))]
    if not hit.aligned:
        return [
            Part(strip(path, "found", one.start_s, one.end_s, f", likeness {one.likeness:.3f}"))
            for one in hit.moments[:MOST_PARTS]
        ]
    return [
        Part(
            strip(
                path, "found", one.start_s, one.end_s, f", likeness {one.likeness:.3f}, speed {one.speed:.2f}"
            ),
            strip(query, "query", one.query_start_s, one.query_end_s),
        )
        for one in hit.aligned[:MOST_PARTS]
    ]


def strip(path: Path, title: str, start_s: float, end_s: float, more: str = "") -> Strip:
    """Frames of a span with their times, or why there are none."""
    note = f"{start_s:.2f} s to {end_s:.2f} s{more}"
    if not path.is_file():
        return Strip("", title, f"{note}; no frames: {path} is missing")
    try:
        return Strip(frame_strip(path, start_s, end_s), title, note)
    except VideoError as error:
        return Strip("", title, f"{note}; no frames: {path}: {error}")
