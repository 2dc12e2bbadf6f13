"""The commands that look into a library."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sora_video.base import console
from sora_video.base.errors import ConfigError

from . import show
from .arguments import ByOption, HintedModelOption, JsonOption, LibraryArgument
from .index import open_and_warn

if TYPE_CHECKING:
    from sora_video.index.example import Example
    from sora_video.index.search.search import Hit
    from sora_video.index.store.video_source import VideoSource

__all__ = ["register"]

QueryArgument = Annotated[
    str,
    typer.Argument(
        metavar="QUERY",
        help="A video file, a folder of images, a .npy file of embeddings, or slice:ID for more like it.",
    ),
]
StartOption = Annotated[float | None, typer.Option("--start", help="Start of the span to look for, seconds.")]
EndOption = Annotated[float | None, typer.Option("--end", help="End of the span to look for, seconds.")]
TopOption = Annotated[int, typer.Option("--top", help="Videos to find.")]
ExcludeOption = Annotated[
    list[str] | None, typer.Option("--exclude", metavar="VIDEO", help="A video of the library to leave out.")
]
WhereOption = Annotated[
    list[str] | None,
    typer.Option(
        "--where", metavar="NAME=VALUE", help="Only videos of that attribute; videos=GLOB, start_s=, end_s="
    ),
]
FpsOption = Annotated[
    float | None, typer.Option("--fps", help="Images a second of a folder; default: as the encoder looks.")
]
PageOption = Annotated[Path | None, typer.Option("--html", metavar="FILE", help="Write a page of frames.")]
VideosOption = Annotated[
    Path | None,
    typer.Option(
        "--videos",
        metavar="FOLDER",
        help="Where the library's videos lie, for --html; default: where they were.",
    ),
]


def register(app: typer.Typer) -> None:
    """Add the commands of this file.

    Args:
        app: the ``sora`` command.
    """
    app.command(epilog="Example: sora search my.library query.mp4 --start 12 --end 15 --top 5")(search)
    app.command(
        epilog="Example: sora duplicates my.library --threshold 0.7   |   sora duplicates my.library --json"
    )(duplicates)


def search(
    library: LibraryArgument,
    query: QueryArgument,
    start: StartOption = None,
    end: EndOption = None,
    top: TopOption = 10,
    exclude: ExcludeOption = None,
    where: WhereOption = None,
    fps: FpsOption = None,
    by: ByOption = None,
    model: HintedModelOption = None,
    html: PageOption = None,
    videos: VideosOption = None,
    as_json: JsonOption = False,
) -> None:
    """Find where else in a library a video, or a span of it, happens."""
    from sora_video.index.example import Example, query_by_example
    from sora_video.index.localize import localize
    from sora_video.index.store.filters import parse_where

    example = Example(query, model=model, start_s=start, end_s=end, by=by, fps=fps)
    check_options(example, html)
    opened = open_and_warn(library)
    filters = parse_where(where) if where else None
    asked = query_by_example(opened, example, top=top, exclude=exclude or (), where=filters)
    hits = localize(opened, asked)
    if html:
        names = [hit.video_id for hit in hits]
        draw(html, example, hits, sources_in(videos, names) if videos else opened.sources(names))
    if as_json:
        show.print_json([{**asdict(hit), "sure": hit.sure} for hit in hits])
    else:
        print_hits(example, hits)
        if html:
            console.say(f"see {html}")


def check_options(example: "Example", html: Path | None) -> None:
    """Refuse options that this query has no use for.

    Raises:
        ConfigError: there is one.
    """
    if html and not example.is_video:
        raise ConfigError(
            f"--html with the query {example.source}: a page shows frames; search for a video file"
        )
    if example.fps is not None and not example.is_folder:
        raise ConfigError(
            f"--fps {example.fps:g} with the query {example.source}: is for a folder of images; leave it out"
        )


def sources_in(videos: Path, names: "Sequence[str]") -> "dict[str, VideoSource | None]":
    """Videos that all lie below one folder by their names."""
    from sora_video.index.store.video_source import VideoSource

    return dict.fromkeys(names, VideoSource(str(videos.expanduser())))


def draw(
    html: Path,
    example: "Example",
    hits: "Sequence[Hit]",
    sources: "Mapping[str, VideoSource | None]",
) -> None:
    """Write the page of frames."""
    from sora_video.index.search.gallery import write_gallery
    from sora_video.pretrain.video.corpus import open_span

    (span,) = open_span(example.path, example.start_s, example.end_s).videos
    write_gallery(html, span, hits, sources)


def print_hits(example: "Example", hits: "Sequence[Hit]") -> None:
    """Show what was found, and say so where nothing stands out."""
    from sora_video.index.search.search import SURE

    show.print_table([row for hit in hits for row in show.hit_rows(hit)])
    if not (example.is_slice or any(hit.sure for hit in hits)):
        console.warn(f"no video stands out, by a lead of {SURE:g}: the query may come from none of them")


def duplicates(
    library: LibraryArgument,
    threshold: Annotated[
        float,
        typer.Option("--threshold", help="Least mean likeness of what is shared: 0 unrelated, 1 identical."),
    ] = 0.5,
    cover: Annotated[
        float, typer.Option("--cover", help="Least fraction of the shorter video that is shared.")
    ] = 0.5,
    normalize: Annotated[
        bool,
        typer.Option("--normalize/--no-normalize", help="Measure likeness from what other videos reach."),
    ] = True,
    as_json: JsonOption = False,
) -> None:
    """Find groups of near-duplicate videos, and which part is which."""
    from sora_video.index.duplicates import find_duplicates

    groups = find_duplicates(open_and_warn(library), threshold, cover, normalize)
    if as_json:
        show.print_json([asdict(group) for group in groups])
        return
    show.print_table(
        [row for number, group in enumerate(groups, 1) for row in show.group_rows(number, group)],
        title=f"{len(groups)} groups of {sum(len(group.videos) for group in groups)} near-duplicate videos",
    )
