"""The commands that search a library."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sora_video.base import console
from sora_video.base.errors import ConfigError
from sora_video.base.plain import plain

from . import show
from .arguments import (
    AgreeOption,
    ByOption,
    EndOption,
    HintedModelOption,
    JsonOption,
    StartOption,
    StoreArgument,
    WhereOption,
)
from .library import NO_VIDEOS, open_to_search, unknown_attribute
from .replace import ForceOption, check_files

if TYPE_CHECKING:
    from sora_video.index.example import Example
    from sora_video.index.search.search import Hit
    from sora_video.index.store.filters import Where
    from sora_video.index.store.video_source import VideoSource
    from sora_video.index.stores import Store

__all__ = ["register"]

QueryArgument = Annotated[
    str | None,
    typer.Argument(
        metavar="QUERY",
        help="A video file, a folder of images, a .npy file of embeddings, or slice:ID for more like it.",
    ),
]
TextOption = Annotated[
    str | None,
    typer.Option("--text", metavar="WORDS", help="Search by words instead, with an encoder that has texts."),
]
TopOption = Annotated[int, typer.Option("--top", help="Maximum number of videos to find.")]
ExcludeOption = Annotated[
    list[str] | None,
    typer.Option("--exclude", metavar="VIDEO", help="A video of the library to leave out; may be repeated."),
]
FpsOption = Annotated[
    float | None,
    typer.Option("--fps", help="Images per second of a folder; default: the encoder's frame rate."),
]
PageOption = Annotated[
    Path | None,
    typer.Option("--html", metavar="FILE", help="HTML page to write, with frames of what was found."),
]
VideosOption = Annotated[
    Path | None,
    typer.Option(
        "--videos",
        metavar="FOLDER",
        help="Folder of the library's videos, for --html; default: where they were added from.",
    ),
]


def register(app: typer.Typer) -> None:
    """Add the commands of this file.

    Args:
        app: the ``sora`` command.
    """
    app.command(
        epilog="Example: sora search my.library query.mp4 --start 12 --end 15 --top 5   |   "
        "sora search east.library,west.library query.mp4"
    )(search)
    app.command(
        epilog="Example: sora duplicates my.library --threshold 0.7   |   "
        "sora duplicates my.library --html pairs.html"
    )(duplicates)


def search(
    library: StoreArgument,
    query: QueryArgument = None,
    text: TextOption = None,
    start: StartOption = None,
    end: EndOption = None,
    top: TopOption = 10,
    exclude: ExcludeOption = None,
    where: WhereOption = None,
    fps: FpsOption = None,
    by: ByOption = None,
    agree: AgreeOption = None,
    model: HintedModelOption = None,
    html: PageOption = None,
    videos: VideosOption = None,
    force: ForceOption = False,
    as_json: JsonOption = False,
) -> None:
    """Find videos in a library that show the same as a query, or what words say, and where in them."""
    from sora_video.index.example import Example, query_by_example
    from sora_video.index.localize import localize
    from sora_video.index.query import AGREE
    from sora_video.index.store.filter_words import parse_where

    if (query is None) == (text is None):
        raise ConfigError("query: name a video, a slice or embeddings, or words by --text; one of them")
    source = query if text is None else f"text:{text}"
    example = Example(str(source), model=model, start_s=start, end_s=end, by=by, fps=fps)
    check_options(example, html)
    if html:
        check_files("--html", [html], force=force)
    with console.heard() as warnings:
        opened = open_to_search(library)
        filters = parse_where(where) if where else None
        warn_of_unknown(opened, exclude or ())
        asked = query_by_example(
            opened,
            example,
            top=top,
            exclude=exclude or (),
            where=filters,
            agree=AGREE if agree is None else agree,
        )
        hits = localize(opened, asked)
    doubts = doubts_of(example, hits)
    if html:
        sources = sources_of(opened, [hit.video_id for hit in hits], videos)
        draw(html, example, hits, sources, opened.folder, [*warnings, *doubts])
    if as_json:
        show.print_json([{**plain(hit), "sure": hit.sure} for hit in hits])
    else:
        if hits:
            show.print_table([row for hit in hits for row in show.hit_rows(hit)])
        else:
            console.say(f"{library}: {no_hits(opened, source, filters, exclude or ())}")
        for doubt in doubts:
            console.warn(doubt)
        if html:
            console.say(f"see {html}")


def warn_of_unknown(library: "Store", exclude: "Sequence[str]") -> None:
    """Name the videos to leave out that the library does not have."""
    from sora_video.index.store.filters import Where

    if exclude:
        known = {video.video_id for video in library.list_videos(Where(videos=frozenset(exclude)))}
        for name in exclude:
            if name not in known:
                console.warn(f"--exclude {name}: is no video of the library, as `sora index list` names them")


def check_options(example: "Example", html: Path | None) -> None:
    """Refuse options that do not apply to this query.

    Raises:
        ConfigError: one is given.
    """
    if html and not example.is_video:
        raise ConfigError(
            f"--html with the query {example.source}: a page needs frames; search for a video file"
        )
    if (example.start_s, example.end_s) != (None, None) and not (example.is_video or example.is_folder):
        raise ConfigError(
            f"--start and --end with the query {example.source}: apply to a video or images; leave them out"
        )
    if example.fps is not None and not example.is_folder:
        raise ConfigError(
            f"--fps {example.fps:g} with the query {example.source}: applies to a folder of images; "
            "leave it out"
        )


def sources_of(
    library: "Store", names: "Sequence[str]", below: Path | None
) -> "Mapping[str, VideoSource | None]":
    """Where videos are: all below one folder, where one is given, else where they were added from."""
    from sora_video.index.store.video_source import VideoSource

    if below is None:
        return library.sources(names)
    return dict.fromkeys(names, VideoSource(str(below.expanduser())))


def draw(
    html: Path,
    example: "Example",
    hits: "Sequence[Hit]",
    sources: "Mapping[str, VideoSource | None]",
    library: Path | None,
    warnings: Sequence[str],
) -> None:
    """Write the page of frames."""
    from sora_video.index.search.gallery import write_gallery
    from sora_video.pretrain.video.corpus import open_span

    (span,) = open_span(example.path, example.start_s, example.end_s).videos
    write_gallery(html, span, hits, sources, library, warnings)


def no_hits(
    library: "Store", source: Path | str | None, where: "Where | None", exclude: "Sequence[str]"
) -> str:
    """Why nothing was found, and what to try."""
    videos = library.info().videos
    if not videos:
        return NO_VIDEOS
    if unknown := unknown_attribute(library, where):
        return unknown
    if where is not None or exclude:
        return f"none of its {videos} videos passes --where and --exclude; leave one of them out"
    return f"none of its {videos} videos is another than that of {source}; add more with `sora index add`"


def doubts_of(example: "Example", hits: "Sequence[Hit]") -> list[str]:
    """What must be said of hits where no video stands out; nothing else."""
    from sora_video.index.search.search import SURE

    if not hits or example.is_slice or example.is_text or any(hit.sure for hit in hits):
        return []
    agreeing = " by all and by each aspect" if any(hit.leads for hit in hits) else ""
    return [f"no video stands out, by a lead of {SURE:g}{agreeing}: the query may come from none of them"]


def duplicates(
    library: StoreArgument,
    threshold: Annotated[
        float,
        typer.Option(
            "--threshold", help="Minimum mean likeness of the shared parts: 0 unrelated, 1 identical."
        ),
    ] = 0.5,
    cover: Annotated[
        float, typer.Option("--cover", help="Minimum fraction of the shorter video that is shared.")
    ] = 0.5,
    normalize: Annotated[
        bool,
        typer.Option(
            "--normalize/--no-normalize", help="Measure likeness relative to that with other videos."
        ),
    ] = True,
    by: ByOption = None,
    agree: AgreeOption = None,
    html: PageOption = None,
    videos: VideosOption = None,
    force: ForceOption = False,
    as_json: JsonOption = False,
) -> None:
    """Find groups of videos of which every two are near-duplicates, and the parts that they share."""
    from sora_video.index.duplicates import AGREE, find_duplicates
    from sora_video.index.pair_page import write_pairs

    if html:
        check_files("--html", [html], force=force)
    opened = open_to_search(library)
    groups = find_duplicates(
        opened,
        threshold,
        cover,
        normalize,
        by=by,
        agree=AGREE if agree is None else agree,
    )
    names = sorted({name for group in groups for name in group.videos})
    if html:
        write_pairs(html, groups, sources_of(opened, names, videos), opened)
    if as_json:
        show.print_json(groups)
        return
    if html:
        console.say(f"see {html}")
    if not groups:
        console.say(
            f"{library}: no duplicates among its {opened.info().videos} videos by --threshold {threshold:g} "
            f"and --cover {cover:g}; lower values find parts that are less alike, or shorter"
        )
        return
    show.print_table(
        [row for number, group in enumerate(groups, 1) for row in show.group_rows(number, group)],
        title=f"{len(groups)} groups of {len(names)} near-duplicate videos",
    )
