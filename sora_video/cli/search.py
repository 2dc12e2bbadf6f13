"""The commands that look into a library."""

from pathlib import Path
from typing import Annotated

import typer

from sora_video.base import console

from . import show
from .arguments import ByOption, HintedModelOption, JsonOption, LibraryArgument
from .index import open_and_warn

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the commands of this file."""
    app.command(epilog="Example: sora search my.library query.mp4 --start 12 --end 15 --top 5")(search)
    app.command(
        epilog="Example: sora duplicates my.library --threshold 0.7   |   sora duplicates my.library --json"
    )(duplicates)


def search(
    library: LibraryArgument,
    query: Annotated[
        str,
        typer.Argument(
            metavar="QUERY",
            help="A video file, a folder of images, a .npy file of embeddings, or slice:ID for more like it.",
        ),
    ],
    start: Annotated[
        float | None, typer.Option("--start", help="Start of the span to look for, seconds.")
    ] = None,
    end: Annotated[float | None, typer.Option("--end", help="End of the span to look for, seconds.")] = None,
    top: Annotated[int, typer.Option("--top", help="Videos to find.")] = 10,
    exclude: Annotated[
        list[str] | None,
        typer.Option("--exclude", metavar="VIDEO", help="A video of the library to leave out."),
    ] = None,
    where: Annotated[
        list[str] | None,
        typer.Option(
            "--where",
            metavar="NAME=VALUE",
            help="Only videos of that attribute; videos=GLOB, start_s=, end_s=",
        ),
    ] = None,
    fps: Annotated[
        float | None,
        typer.Option("--fps", help="Images a second of a folder; default: as the encoder looks."),
    ] = None,
    by: ByOption = None,
    model: HintedModelOption = None,
    html: Annotated[
        Path | None,
        typer.Option("--html", metavar="FILE", help="Write a page of frames."),
    ] = None,
    videos: Annotated[
        Path | None,
        typer.Option(
            "--videos",
            metavar="FOLDER",
            help="Where the library's videos lie, for --html; default: where they were.",
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Find where else in a library a video, or a span of it, happens."""
    from dataclasses import asdict

    from sora_video.base.errors import ConfigError
    from sora_video.index.build import SLICE, is_video, search_video
    from sora_video.index.search.search import SURE
    from sora_video.index.store.filters import parse_where

    if html and not is_video(query):
        raise ConfigError(f"--html with the query {query}: a page shows frames; search for a video file")
    if fps is not None and not Path(query).is_dir():
        raise ConfigError(f"--fps {fps:g} with the query {query}: is for a folder of images; leave it out")
    root = videos or Path(open_and_warn(library).root or ".")
    hits = search_video(
        library,
        query,
        model=model,
        start_s=start,
        end_s=end,
        top=top,
        exclude=exclude or (),
        by=by,
        where=parse_where(where) if where else None,
        fps=fps,
    )
    if html:
        from sora_video.index.search.gallery import write_gallery
        from sora_video.pretrain.video.corpus import open_span

        write_gallery(html, open_span(query, start, end).videos[0], hits, root)
    if as_json:
        show.print_json([{**asdict(hit), "sure": hit.sure} for hit in hits])
        return
    show.print_table([row for hit in hits for row in show.hit_rows(hit)])
    if not (query.startswith(SLICE) or any(hit.sure for hit in hits)):
        console.warn(f"no video stands out, by a lead of {SURE:g}: the query may come from none of them")
    if html:
        console.say(f"see {html}")


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
    from dataclasses import asdict

    from sora_video.index.duplicates import find_duplicates

    groups = find_duplicates(open_and_warn(library), threshold, cover, normalize)
    if as_json:
        show.print_json([asdict(group) for group in groups])
        return
    show.print_table(
        [row for number, group in enumerate(groups, 1) for row in show.group_rows(number, group)],
        title=f"{len(groups)} groups of {sum(len(group.videos) for group in groups)} near-duplicate videos",
    )
