"""The ``sora index`` commands that show what a library holds, and edit what is said of its videos."""

from dataclasses import asdict
from typing import Annotated, Any

import typer

from sora_video.base import console
from sora_video.base.errors import LibraryError

from . import show
from .arguments import JsonOption, LibraryArgument, StoreArgument, WhereOption
from .library import NO_VIDEOS, open_and_warn, open_to_search, unknown_attribute

__all__ = ["contents_app"]

KEY_DIGITS = 12
MANY_SEGMENTS = 16
"""Segments from which on compaction is recommended."""

contents_app = typer.Typer()


@contents_app.command(
    epilog="Example: sora index ignored my.library   |   sora index ignored my.library --lift beach.mp4"
)
def ignored(
    library: LibraryArgument,
    lift: Annotated[
        list[str] | None,
        typer.Option(
            "--lift",
            metavar="VIDEO",
            help="Allow a video to be added again, by name or key; may be repeated.",
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """List removed videos, which `sora index add` leaves out; those that were purged have no name."""
    opened = open_and_warn(library)
    if lift:
        opened.lift(lift)
    entries = [{"video_id": entry.name, "key": entry.name_key[:KEY_DIGITS]} for entry in opened.ignored]
    if as_json:
        show.print_json(entries)
    else:
        rows = [{"video": entry["video_id"] or "(purged)", "key": entry["key"]} for entry in entries]
        show.print_table(rows, empty=f"{library}: no removed video is kept from coming back")


@contents_app.command(epilog="Example: sora index attributes my.library holiday/beach.mp4 camera=3 place=")
def attributes(
    library: LibraryArgument,
    video: Annotated[str, typer.Argument(metavar="VIDEO", help="A video as `sora search` names it.")],
    changes: Annotated[
        list[str] | None,
        typer.Argument(metavar="[NAME=VALUE]...", help="Attributes to set; NAME= deletes one."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Show, or edit, the attributes of a video."""
    from sora_video.index.store.attributes import parse_value

    opened, wanted = open_and_warn(library), {}
    for word in changes or []:
        name, equals, text = word.partition("=")
        if not equals:
            raise LibraryError(f"{word!r}: does not have the form NAME=VALUE; write for instance camera=3")
        wanted[name] = parse_value(text) if text else None
    if wanted:
        opened.set_attributes({video: wanted})
    values = opened.attributes(video)
    if as_json:
        show.print_json(values)
    else:
        rows = [{"": name, "value": str(value)} for name, value in values.items()]
        show.print_table(
            rows, video if rows else None, empty=f"{video}: has no attributes; set one as camera=3"
        )


@contents_app.command(
    "list",
    epilog="Example: sora index list my.library --json   |   "
    "sora index list my.library --where 'camera>2' --where 'videos=cam2/*'",
)
def list_videos(library: StoreArgument, where: WhereOption = None, as_json: JsonOption = False) -> None:
    """List the videos of a library, with the folder that each came from and its attributes."""
    from sora_video.index.store.filter_words import parse_where

    opened, filters = open_to_search(library), parse_where(where) if where else None
    videos = opened.list_videos(filters)
    if as_json:
        show.print_json(videos)
        return
    rows = [
        {
            "video": video.video_id,
            "slices": video.slices,
            "source": video.source or "",
            "attributes": ", ".join(f"{name}={value}" for name, value in video.attributes.items()),
        }
        for video in videos
    ]
    if not rows:
        passing = "none of its videos passes --where" if where else NO_VIDEOS
        console.say(f"{library}: {unknown_attribute(opened, filters) or passing}")
        return
    show.print_table(rows)


@contents_app.command(epilog="Example: sora index info my.library --json")
def info(library: StoreArgument, as_json: JsonOption = False) -> None:
    """Show numbers of a library: videos, slices, segments, size and indexes."""
    from sora_video.index.info import LibraryInfo

    facts = open_to_search(library).info()
    if as_json:
        show.print_json(facts)
        return
    shown = {name: value for name, value in asdict(facts).items() if name != "indexes"}
    shown["aspects"] = ", ".join(facts.aspects)
    shown["model"] = facts.model or ""
    for built in facts.indexes if isinstance(facts, LibraryInfo) else ():
        shown[f"segment {built['segment']}"] = f"{built['kind']} {built['parameters']}, {measured(built)}"
    show.print_table([{"": name, "value": value} for name, value in shown.items()])
    if not facts.videos:
        console.say(f"{library}: {NO_VIDEOS}")
    if isinstance(facts, LibraryInfo) and (
        facts.segments >= MANY_SEGMENTS or facts.removed_slices > facts.slices
    ):
        console.say(f"`sora index compact {library}` merges segments and frees the space of hidden slices")


def measured(built: dict[str, Any]) -> str:
    """The measurement of an index at its search parameters."""
    for point in built["curve"]:
        if all(point.get(name) == value for name, value in built["parameters"].items()):
            return f"recall@10 {point['recall']:.3f}, {point['ms']:.3g} ms a query"
    return "not measured"
