"""The ``sora index`` commands."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sora_video.configs.errors import LibraryError

from . import show
from .arguments import HintedModelOption, JsonOption, LibraryArgument, SourceArgument

if TYPE_CHECKING:
    from sora_video.index.library import Library
    from sora_video.index.update import Added
    from sora_video.pretrain.quarantine import Failure

__all__ = ["index_app", "open_library"]

MANY_SEGMENTS = 16
"""From here on compaction is worth a hint."""

index_app = typer.Typer(no_args_is_help=True, help="Build and keep a library of slice embeddings.")


@index_app.command(epilog="Example: sora index build my.library ~/videos --model runs/first")
def build(
    library: LibraryArgument,
    source: SourceArgument,
    model: HintedModelOption = None,
    precision: Annotated[str, typer.Option("--precision", help="fp32, or fp16 for half the space.")] = "fp32",
) -> None:
    """Make a library of a corpus, or of embeddings."""
    from sora_video.index.build import build_library

    change = build_library(library, source, model, precision)
    report_change(change.library, failures=change.failures)


@index_app.command(epilog="Example: sora index add my.library ~/new-videos")
def add(library: LibraryArgument, source: SourceArgument, model: HintedModelOption = None) -> None:
    """Add videos; only those that are new or changed are embedded."""
    from sora_video.index.build import add_to_library

    open_library(library)
    change = add_to_library(library, source, model)
    report_change(change.library, change.added, change.failures)


@index_app.command(epilog="Example: sora index remove my.library holiday/beach.mp4")
def remove(
    library: LibraryArgument,
    videos: Annotated[
        list[str], typer.Argument(metavar="VIDEO...", help="Videos as `sora search` names them.")
    ],
) -> None:
    """Remove videos."""
    opened = open_library(library)
    opened.remove(videos)
    report_change(opened)


@index_app.command(epilog="Example: sora index attributes my.library holiday/beach.mp4 camera=3 place=")
def attributes(
    library: LibraryArgument,
    video: Annotated[str, typer.Argument(metavar="VIDEO", help="A video as `sora search` names it.")],
    changes: Annotated[
        list[str] | None,
        typer.Argument(metavar="[NAME=VALUE]...", help="What to set; NAME= takes an attribute away."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Show, or edit, the attributes of a video."""
    from sora_video.index.where import parse_value

    opened, wanted = open_library(library), {}
    for word in changes or []:
        name, equals, text = word.partition("=")
        if not equals:
            raise LibraryError(f"{word!r}: is not of the form NAME=VALUE; write for instance camera=3")
        wanted[name] = parse_value(text) if text else None
    if wanted:
        opened.set_attributes({video: wanted})
    found = opened.attributes(video)
    if as_json:
        show.print_json(found)
    else:
        show.print_table([{"": name, "value": str(value)} for name, value in found.items()], title=video)


@index_app.command(epilog="Example: sora index info my.library --json")
def info(library: LibraryArgument, as_json: JsonOption = False) -> None:
    """Say what a library holds."""
    facts = open_library(library).info()
    if as_json:
        show.print_json(asdict(facts))
        return
    shown = {name: value for name, value in asdict(facts).items() if name != "indexes"}
    for built in facts.indexes:
        shown[f"segment {built['segment']}"] = f"{built['kind']} {built['parameters']} {built['curve']}"
    show.print_table([{"": name, "value": value} for name, value in shown.items()])
    if facts.segments >= MANY_SEGMENTS or facts.removed_slices > facts.slices:
        show.say(f"`sora index compact {library}` merges segments and gives back the space of hidden slices")


@index_app.command(
    epilog="Example: sora index compact my.library   |   sora index compact my.library --max-rows 50000"
)
def compact(
    library: LibraryArgument,
    max_rows: Annotated[
        int | None, typer.Option("--max-rows", help="Leave larger segments alone; default: merge all.")
    ] = None,
) -> None:
    """Merge segments, and give back the space of what was removed."""
    opened = open_library(library)
    before = opened.info()
    opened.compact(max_rows)
    after = opened.info()
    show.say(
        f"{library}: {before.segments} segments became {after.segments}, "
        f"{before.bytes:,} bytes became {after.bytes:,}"
    )


@index_app.command(epilog="Example: sora index verify my.library --json")
def verify(library: LibraryArgument, as_json: JsonOption = False) -> None:
    """Read every byte of a library and say what is damaged; exits 2 if anything is."""
    from sora_video.index.verify import verify as verify_library

    found = verify_library(library)
    if as_json:
        damage = [{**one._asdict(), "line": str(one)} for one in found.damage]
        show.print_json({**asdict(found), "damage": damage})
    else:
        show.say(f"{library}: {found.files} files of {found.segments} segments, {found.bytes:,} bytes")
        for segment, recall in found.recall.items():
            show.say(f"segment {segment}: recall@10 of its index is {recall:.3f}")
    if found.damage:
        for one in found.damage:
            show.warn(f"{library}: {one}")
        raise typer.Exit(2)


@index_app.command(epilog="Example: sora index repair my.library   |   sora index repair my.library --drop")
def repair(
    library: LibraryArgument,
    drop: Annotated[bool, typer.Option("--drop", help="Give up what cannot be rebuilt.")] = False,
) -> None:
    """Rebuild what is damaged from the vectors; exits 2 if damage is left."""
    from sora_video.index.library import Library

    opened = Library.open(library)
    done = opened.repair(drop)
    for segment in done.rebuilt:
        show.say(f"segment {segment}: its index is built again")
    for one in done.dropped:
        show.say(f"given up: {one}")
    for video in done.lost:
        show.say(f"lost: {video}")
    show.say(f"{library}: {len(opened)} slices of {opened.info().videos} videos")
    for one in done.left:
        show.warn(f"{library}: {one}; restore it from a copy, or give it up with --drop")
    if done.left:
        raise typer.Exit(2)


@index_app.command(epilog="Example: sora index export my.library library.parquet")
def export(
    library: LibraryArgument,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The Parquet file to write.")],
) -> None:
    """Write a library as one Parquet file, vectors and all."""
    opened = open_library(library)
    opened.export(file)
    show.say(f"{len(opened)} slices of {opened.info().videos} videos in {file}")


@index_app.command("import", epilog="Example: sora index import my.library library.parquet")
def import_file(
    library: LibraryArgument,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="What `sora index export` wrote.")],
) -> None:
    """Make a library of one that was exported; slices keep their ids."""
    from sora_video.index.library import Library

    report_change(Library.from_export(library, file))


def open_library(path: Path) -> "Library":
    """Open a library, and name on standard error what of it is damaged."""
    from sora_video.index.library import Library

    library = Library.open(path)
    for one in library.damage:
        show.warn(f"{path}: {one}; it is left out, see `sora index repair`")
    return library


def report_change(
    library: "Library", added: "Added | None" = None, failures: "Sequence[Failure]" = ()
) -> None:
    """One line on what changed and what a library holds now, and what could not be read."""
    counts = f"{added.added} added, {added.replaced} replaced, {added.unchanged} unchanged; " if added else ""
    videos = library.info().videos
    show.say(f"{library.path}: {counts}{len(library)} slices of {videos} videos")
    show.print_failures(failures, videos + len(failures))
