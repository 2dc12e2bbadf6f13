"""The ``sora index`` commands."""

from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sora_video.base import console
from sora_video.base.errors import LibraryError
from sora_video.base.kinds import kind_of

from . import show
from .arguments import (
    HintedModelOption,
    JsonOption,
    LatencyOption,
    LibraryArgument,
    MemoryOption,
    PrefixOption,
    SkipOption,
    SourceArgument,
    WhereOption,
)
from .library import change_of, open_and_warn, report_change
from .replace import ForceOption, replacing
from .skip import without_unreadable
from .stop import stopping
from .upkeep import upkeep_app

if TYPE_CHECKING:
    from sora_video.index.library import Library
    from sora_video.index.tune.choose import Target

__all__ = ["register"]

DEFAULT_RECALL = 0.95
KEY_DIGITS = 12
MANY_SEGMENTS = 16
"""Segments from which on compaction is recommended."""

index_app = typer.Typer(no_args_is_help=True, help="Build and maintain a library of slice embeddings.")
index_app.add_typer(upkeep_app)


def register(app: typer.Typer) -> None:
    """Add the commands of this file.

    Args:
        app: the ``sora`` command.
    """
    app.add_typer(index_app, name="index")


@index_app.command(
    epilog="Example: sora index build my.library ~/videos --model runs/first   |   "
    "sora index build my.library ~/videos --model runs/first --recall 0.95 --memory 2GB --latency 10ms"
)
def build(
    library: LibraryArgument,
    source: SourceArgument,
    model: HintedModelOption = None,
    skip: SkipOption = None,
    precision: Annotated[str, typer.Option("--precision", help="fp32, or fp16 for half the space.")] = "fp32",
    recall: Annotated[
        float | None, typer.Option("--recall", help="Choose an index by measurement, see `sora index tune`.")
    ] = None,
    memory: MemoryOption = None,
    latency: LatencyOption = None,
    prefix: PrefixOption = "",
    force: ForceOption = False,
    as_json: JsonOption = False,
) -> None:
    """Make a library of a corpus, or of embeddings; search is exact unless you ask for an index."""
    from sora_video.index.build import build_library
    from sora_video.index.stopped import is_stopped

    target = None
    if (recall, memory, latency) != (None, None, None):
        target = parse_target(DEFAULT_RECALL if recall is None else recall, memory, latency)
    goes_on = is_stopped(library) and not force
    room = nullcontext() if goes_on else replacing("library", library, "a library", force=force)
    with room, stopping(lambda: kept_of(library)):
        change = build_library(library, without_unreadable(source, skip), model, precision, prefix=prefix)
    if target:
        change.library.tune(target)
    if as_json:
        indexes = change.library.info().indexes
        show.print_json({**change_of(change.library), "unreadable": change.failures, "indexes": indexes})
        return
    report_change(change.library, failures=change.failures)
    if target:
        print_indexes(change.library)


@index_app.command(epilog="Example: sora index tune my.library --recall 0.95 --memory 2GB --latency 10ms")
def tune(
    library: LibraryArgument,
    recall: Annotated[
        float, typer.Option("--recall", help="Least share of the 10 nearest slices that a search finds.")
    ] = DEFAULT_RECALL,
    memory: MemoryOption = None,
    latency: LatencyOption = None,
    seed: Annotated[int, typer.Option("--seed", help="Seed of training and of the held-out queries.")] = 0,
    as_json: JsonOption = False,
) -> None:
    """Build the fastest index that reaches a recall, a memory and a latency."""
    target = parse_target(recall, memory, latency, seed)
    opened = open_and_warn(library)
    opened.tune(target)
    if as_json:
        show.print_json(opened.info().indexes)
    else:
        print_indexes(opened)


def parse_target(recall: float, memory: str | None, latency: str | None, seed: int = 0) -> "Target":
    """What an index has to reach, from the command line."""
    from sora_video.index.tune.choose import Target, parse_bytes, parse_ms

    return Target(
        recall=recall,
        memory=parse_bytes(memory) if memory else None,
        latency_ms=parse_ms(latency) if latency else None,
        seed=seed,
    )


def print_indexes(library: "Library") -> None:
    """Show what was measured of the indexes that were chosen."""
    for built in library.info().indexes:
        parameters = "".join(f", {name}={value}" for name, value in built["parameters"].items())
        show.print_table(built["curve"], title=f"segment {built['segment']}: {built['kind']}{parameters}")
    if not library.info().indexes:
        console.say(
            f"{library.path}: holds no slices, so no index was built; add videos with `sora index add`"
        )


@index_app.command(
    epilog="Example: sora index add my.library ~/new-videos   |   "
    "sora index add my.library ~/cam2 --prefix cam2"
)
def add(
    library: LibraryArgument,
    source: SourceArgument,
    model: HintedModelOption = None,
    prefix: PrefixOption = "",
    replace: Annotated[
        bool,
        typer.Option("--replace", help="Replace videos of the same names that came from other folders, too."),
    ] = False,
    skip: SkipOption = None,
    as_json: JsonOption = False,
) -> None:
    """Add videos; only those that are new or changed are embedded."""
    from sora_video.index.build import add_to_library

    opened = open_and_warn(library)
    with stopping(lambda: kept_of(library)):
        change = add_to_library(
            opened, without_unreadable(source, skip), model, prefix=prefix, replace=replace
        )
    report_change(change.library, as_json, change.added, change.failures)


@index_app.command(
    epilog="Example: sora index remove my.library holiday/beach.mp4   |   "
    "sora index remove my.library visitor.mp4 --purge"
)
def remove(
    library: LibraryArgument,
    videos: Annotated[
        list[str], typer.Argument(metavar="VIDEO...", help="Videos as `sora search` names them.")
    ],
    purge: Annotated[
        bool,
        typer.Option("--purge", help="Erase at once all that the library's folder has of them."),
    ] = False,
    ignore: Annotated[
        bool,
        typer.Option(
            "--ignore/--no-ignore",
            help="Keep them from being added again, see `sora index ignored`.",
        ),
    ] = True,
    as_json: JsonOption = False,
) -> None:
    """Remove videos, and keep them from coming back."""
    opened = open_and_warn(library)
    opened.remove(videos, purge=purge, ignore=ignore)
    report_change(opened, as_json)


@index_app.command(
    epilog="Example: sora index ignored my.library   |   sora index ignored my.library --lift beach.mp4"
)
def ignored(
    library: LibraryArgument,
    lift: Annotated[
        list[str] | None,
        typer.Option("--lift", metavar="VIDEO", help="A name, or the key of one, that may be added again."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """List videos that `sora index add` leaves out since they were removed; what was purged has no name."""
    opened = open_and_warn(library)
    if lift:
        opened.lift(lift)
    entries = [{"video": entry.name, "key": entry.name_key[:KEY_DIGITS]} for entry in opened.ignored]
    if as_json:
        show.print_json(entries)
    else:
        rows = [{**entry, "video": entry["video"] or "(purged)"} for entry in entries]
        show.print_table(rows, empty=f"{library}: no removed video is kept from coming back")


@index_app.command(epilog="Example: sora index attributes my.library holiday/beach.mp4 camera=3 place=")
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
    from sora_video.index.store.filters import parse_value

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


@index_app.command(
    "list",
    epilog="Example: sora index list my.library --json   |   "
    "sora index list my.library --where 'camera>2' --where 'videos=cam2/*'",
)
def list_videos(library: LibraryArgument, where: WhereOption = None, as_json: JsonOption = False) -> None:
    """List the videos of a library, with the folder that each came from and its attributes."""
    from sora_video.index.store.filters import parse_where

    videos = open_and_warn(library).list_videos(parse_where(where) if where else None)
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
    empty = (
        "none of its videos passes --where" if where else "holds no videos; add some with `sora index add`"
    )
    show.print_table(rows, empty=f"{library}: {empty}")


@index_app.command(epilog="Example: sora index info my.library --json")
def info(library: LibraryArgument, as_json: JsonOption = False) -> None:
    """Show numbers of a library: videos, slices, segments, size and indexes."""
    facts = open_and_warn(library).info()
    if as_json:
        show.print_json(facts)
        return
    shown = {name: value for name, value in asdict(facts).items() if name != "indexes"}
    shown["aspects"] = ", ".join(facts.aspects)
    shown["model"] = facts.model or ""
    for built in facts.indexes:
        shown[f"segment {built['segment']}"] = f"{built['kind']} {built['parameters']}, {measured(built)}"
    show.print_table([{"": name, "value": value} for name, value in shown.items()])
    if not facts.videos:
        console.say(f"{library}: holds no videos; add some with `sora index add`")
    if facts.segments >= MANY_SEGMENTS or facts.removed_slices > facts.slices:
        console.say(f"`sora index compact {library}` merges segments and frees the space of hidden slices")


@index_app.command(
    epilog="Example: sora index compact my.library   |   sora index compact my.library --max-rows 50000"
)
def compact(
    library: LibraryArgument,
    max_rows: Annotated[
        int | None, typer.Option("--max-rows", help="Leave larger segments alone; default: merge all.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Merge segments, and free the space of removed videos."""
    opened = open_and_warn(library)
    before = opened.info()
    opened.compact(max_rows)
    after = opened.info()
    if as_json:
        sizes = {"segments": after.segments, "bytes": after.bytes}
        before_sizes = {"segments_before": before.segments, "bytes_before": before.bytes}
        show.print_json({"library": library, **before_sizes, **sizes})
        return
    if (before.segments, before.bytes) == (after.segments, after.bytes):
        console.say(
            f"{library}: nothing to merge or to free in {after.segments} segments, {after.bytes:,} bytes"
        )
        return
    console.say(
        f"{library}: {before.segments} segments became {after.segments}, "
        f"{before.bytes:,} bytes became {after.bytes:,}"
    )


def kept_of(library: Path) -> str:
    """What an addition that was stopped leaves."""
    if kind_of(library.expanduser()) is None:
        return f"no video was done, and {library} was not made"
    return f"{library} has the videos that were done, and the same command adds the rest"


def measured(built: dict[str, Any]) -> str:
    """The measurement of an index at its search parameters."""
    for point in built["curve"]:
        if all(point.get(name) == value for name, value in built["parameters"].items()):
            return f"recall@10 {point['recall']:.3f}, {point['ms']:.3g} ms a query"
    return "not measured"
