"""The ``sora index`` commands that fill a library, and the group of all of them."""

import dataclasses
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sora_video.base import console
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
)
from .contents import contents_app
from .library import change_of, open_and_warn, report_change
from .migrate import migrate_app
from .push import push_app
from .replace import ForceOption, replacing
from .skip import without_unreadable
from .stop import stopping
from .upkeep import upkeep_app

if TYPE_CHECKING:
    from sora_video.index.library import Library
    from sora_video.index.tune.target import Target

__all__ = ["register"]

DEFAULT_RECALL = 0.95

index_app = typer.Typer(no_args_is_help=True, help="Build and maintain a library of slice embeddings.")
index_app.add_typer(contents_app)
index_app.add_typer(upkeep_app)
index_app.add_typer(push_app)
index_app.add_typer(migrate_app)


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
    with room, stopping(lambda: kept_of(library, source)):
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
        float, typer.Option("--recall", help="Minimum share of the 10 nearest slices that a search finds.")
    ] = DEFAULT_RECALL,
    memory: MemoryOption = None,
    latency: LatencyOption = None,
    index: Annotated[
        str | None,
        typer.Option(
            "--index",
            metavar="KIND",
            help="Build this kind alone, as OPQ-IVF-PQ or 'OPQ-IVF-PQ lists=4096'; default: try all.",
        ),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", help="Seed of training and of the held-out queries.")] = 0,
    as_json: JsonOption = False,
) -> None:
    """Build the fastest index that reaches a recall, a memory and a latency."""
    target = dataclasses.replace(parse_target(recall, memory, latency), seed=seed, index=index)
    opened = open_and_warn(library)
    opened.tune(target)
    if as_json:
        show.print_json(opened.info().indexes)
    else:
        print_indexes(opened)


def parse_target(recall: float, memory: str | None, latency: str | None) -> "Target":
    """What an index has to reach, from the command line."""
    from sora_video.index.tune.target import Target, parse_bytes, parse_ms

    return Target(
        recall=recall,
        memory=parse_bytes(memory) if memory else None,
        latency_ms=parse_ms(latency) if latency else None,
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
        typer.Option("--replace", help="Also replace videos of the same names from other folders."),
    ] = False,
    skip: SkipOption = None,
    as_json: JsonOption = False,
) -> None:
    """Add videos; only those that are new or changed are embedded."""
    from sora_video.index.build import add_to_library

    opened = open_and_warn(library)
    with stopping(lambda: kept_of(library, source)):
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
        typer.Option("--purge", help="Erase all their data from the library's folder at once."),
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


def kept_of(library: Path, source: str) -> str:
    """What an addition that was stopped leaves."""
    from sora_video.index.build import is_table

    if kind_of(library.expanduser()) is None:
        return f"no video was done, and {library} was not made"
    if is_table(source):
        return f"{library} is as it was"
    return f"{library} has the videos that were done, and the same command adds the rest"
