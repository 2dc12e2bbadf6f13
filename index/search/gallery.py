"""A search as one self-contained HTML file: frames of the query above frames of the hits."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from sora_video.base.errors import VideoError
from sora_video.base.page import Strip, write_page
from sora_video.base.times import clock
from sora_video.pretrain.video.corpus import Video
from sora_video.pretrain.video.strip import frame_strip

from ..store.place import FRAMES
from ..store.video_source import VideoSource
from .search import Hit

__all__ = ["Part", "found_strip", "write_gallery"]

MOST_PARTS = 4
"""Shown of one video; the best."""


@dataclass(frozen=True)
class Part:
    """A span of a video, with the matching part of the query."""

    found: Strip
    query: Strip | None = None


@dataclass(frozen=True)
class Shown:
    """A hit as the page shows it."""

    title: str
    parts: Sequence[Part]


def write_gallery(
    path: Path,
    query: Video,
    hits: Sequence[Hit],
    sources: Mapping[str, VideoSource | None],
    library: Path | None = None,
    warnings: Sequence[str] = (),
) -> None:
    """Draw the result of a search.

    Args:
        path: the HTML file.
        query: the video, or the span of one, that was searched for.
        hits: with their moments and alignments, see :func:`sora_video.index.localize.localize`.
        sources: where the hits' videos came from, by name; the page names those that are missing.
        library: its folder, which keeps indexes of its videos; None: of no library.
        warnings: see :func:`sora_video.base.page.write_page`.

    Raises:
        StorageError: the disk refused the write.
    """
    path = path.expanduser()
    indexes = None if library is None else library.absolute() / FRAMES
    shown = [
        Shown(
            f"{rank}. {hit.video_id}{standing(hit)}",
            parts_of(hit, query.path, sources[hit.video_id], indexes),
        )
        for rank, hit in enumerate(hits, 1)
    ]
    write_page(
        path,
        __package__,
        "gallery.html",
        title=f"What is like {query.path.name}",
        lead=f"{len(hits)} videos found, best first; the frames are spread evenly over each span."
        if hits
        else "No video was found.",
        query=strip(query.path, "query", query.start_s, query.end_s or query.start_s),
        hits=shown,
        warnings=warnings,
    )


def standing(hit: Hit) -> str:
    """How far a hit stands out, in words."""
    if hit.lead is None:
        return f", cosine {hit.cosine:.3f}"
    return f", lead {hit.lead:.2f}{': stands out' if hit.sure else ''}"


def parts_of(hit: Hit, query: Path, source: VideoSource | None, indexes: Path | None) -> list[Part]:
    """The aligned spans of a hit with those of the query, else its moments."""
    name = hit.video_id
    if not hit.aligned:
        return [
            Part(
                found_strip(
                    name,
                    source,
                    (moment.start_s, moment.end_s),
                    f", likeness {moment.likeness:.3f}",
                    indexes=indexes,
                )
            )
            for moment in hit.moments[:MOST_PARTS]
        ]
    return [
        Part(
            found_strip(
                name,
                source,
                (span.start_s, span.end_s),
                f", likeness {span.likeness:.3f}, speed {span.speed:.2f}",
                indexes=indexes,
            ),
            strip(query, "query", span.query_start_s, span.query_end_s),
        )
        for span in hit.aligned[:MOST_PARTS]
    ]


def found_strip(
    name: str,
    source: VideoSource | None,
    span: tuple[float, float],
    more: str = "",
    *,
    title: str = "found",
    indexes: Path | None = None,
) -> Strip:
    """Frames of a span of a library's video, or the reason why there are none.

    Args:
        name: of the video.
        source: where it came from; None: unknown.
        span: its start and end in seconds.
        more: to say beside the times.
        title: of the strip.
        indexes: folder of indexes of videos; None: there is none.
    """
    note = f"{clock(span[0])} to {clock(span[1])}{more}"
    if source is None:
        why = f"the folder of {name!r} is unknown; name it with --videos"
        return Strip("", title, f"{note}; no frames: {why}")
    path = source.path(name)
    if not Path(os.path.normpath(path)).is_relative_to(os.path.normpath(source.root)):
        why = f"{name!r} is outside of {source.root}; name a folder above it with --videos"
        return Strip("", title, f"{note}; no frames: {why}")
    return strip(path, title, *span, more, indexes=indexes)


def strip(
    path: Path, title: str, start_s: float, end_s: float, more: str = "", *, indexes: Path | None = None
) -> Strip:
    """Frames of a span with their times, or the reason why there are none."""
    note = f"{clock(start_s)} to {clock(end_s)}{more}"
    if not path.is_file():
        return Strip("", title, f"{note}; no frames: {path} is missing")
    try:
        return Strip(frame_strip(path, start_s, end_s, indexes=indexes), title, note)
    except VideoError as error:
        return Strip("", title, f"{note}; no frames: {path}: {error}")
