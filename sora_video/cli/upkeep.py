"""The ``sora index`` commands that compact, check, repair, export, import and merge libraries."""

import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from sora_video.base import console
from sora_video.base.errors import LibraryError
from sora_video.base.plain import plain

from . import show
from .arguments import JsonOption, LibraryArgument
from .library import change_of, open_and_warn, report_change
from .replace import ForceOption, check_files, replacing

if TYPE_CHECKING:
    from sora_video.index.repair import Repair

__all__ = ["upkeep_app"]

Keep = Literal["first", "last"]

upkeep_app = typer.Typer()


@upkeep_app.command(
    epilog="Example: sora index compact my.library   |   sora index compact my.library --max-rows 50000"
)
def compact(
    library: LibraryArgument,
    max_rows: Annotated[
        int | None, typer.Option("--max-rows", min=1, help="Leave larger segments alone; default: merge all.")
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


@upkeep_app.command(epilog="Example: sora index verify my.library --json")
def verify(library: LibraryArgument, as_json: JsonOption = False) -> None:
    """Read every byte of a library and list damaged files; exits 2 if there are any."""
    from sora_video.index.verify import verify as verify_library

    result = verify_library(library)
    if as_json:
        damage = [{**item._asdict(), "line": str(item)} for item in result.damage]
        show.print_json({"library": library, **plain(result), "damage": damage})
    else:
        console.say(f"{library}: {result.files} files of {result.segments} segments, {result.bytes:,} bytes")
        for segment, recall in result.recall.items():
            console.say(f"segment {segment}: recall@10 of its index is {recall:.3f}")
        if not result.damage:
            console.say("nothing is damaged")
    if result.damage:
        for item in result.damage:
            console.warn(f"{library}: {item}")
        raise typer.Exit(2)


@upkeep_app.command(epilog="Example: sora index repair my.library   |   sora index repair my.library --drop")
def repair(
    library: LibraryArgument,
    drop: Annotated[
        bool, typer.Option("--drop", help="List what cannot be rebuilt, ask, and delete it.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Delete without asking.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Rebuild damaged indexes from the vectors; exits 2 if damage is left."""
    from sora_video.index.library import Library

    opened = Library.open(library)  # its damage is reported below, after the repair
    repaired = opened.repair()
    if repaired.left and drop:
        confirm_drop(library, repaired, yes)
        dropped = opened.repair(drop=repaired.left)
        repaired = replace(dropped, rebuilt=(*repaired.rebuilt, *dropped.rebuilt))
    if as_json:
        show.print_json({**change_of(opened), **plain(repaired)})
    else:
        for segment in repaired.rebuilt:
            console.say(f"segment {segment}: its index was rebuilt")
        for damage in repaired.dropped:
            console.say(f"deleted: {damage}")
        if not (repaired.rebuilt or repaired.dropped or repaired.left):
            console.say("nothing is damaged, so nothing was repaired")
        report_change(opened)
    for damage in repaired.left:
        console.warn(f"{library}: {damage}; restore it from a copy, or delete it with --drop")
    if repaired.left:
        raise typer.Exit(2)


def confirm_drop(library: Path, repaired: "Repair", yes: bool) -> None:
    """List what ``--drop`` deletes, and ask.

    Raises:
        LibraryError: standard input is not a terminal, and ``yes`` was not given.
        typer.Abort: the answer is no.
    """
    for damage in repaired.left:
        console.note(f"to delete: {damage}")
    for video in repaired.lost:
        console.note(f"lost with it: {video}")
    if yes:
        return
    if not sys.stdin.isatty():
        raise LibraryError(
            f"{library}: nothing is deleted without confirmation; give --yes, or run this in a terminal"
        )
    if not typer.confirm(console.printable(f"Delete this from {library} for good?"), err=True):
        console.note("nothing was deleted")
        raise typer.Exit


@upkeep_app.command(
    epilog="Example: sora index merge east.library west.library --out all.library   |   "
    "sora index merge old.library new.library --out all.library --keep last"
)
def merge(
    libraries: Annotated[
        list[Path],
        typer.Argument(metavar="LIBRARY...", help="Libraries of one encoder; they are not changed."),
    ],
    out: Annotated[Path, typer.Option("--out", metavar="FOLDER", help="The library to make.")],
    keep: Annotated[
        Keep | None,
        typer.Option(
            "--keep", help="Where several have a video of one name, keep this one; default: refuse."
        ),
    ] = None,
    force: ForceOption = False,
    as_json: JsonOption = False,
) -> None:
    """Merge libraries into a new one; slices of the first one keep their ids."""
    from sora_video.index.merge import merge_libraries

    if out.resolve() in [library.expanduser().resolve() for library in libraries]:
        raise LibraryError(f"--out {out}: is one of the libraries to merge; choose another folder")
    with replacing("--out", out, "a library", force=force):
        merged = merge_libraries(out, libraries, keep)
    left_out = {"left_out": merged.left_out, "ignored": merged.ignored}
    if as_json:
        show.print_json({**change_of(merged.library), **left_out})
        return
    if merged.ignored:
        console.warn(f"{merged.ignored} videos were left out since another of the libraries ignores them")
    if merged.left_out:
        console.say(f"{merged.left_out} videos are those of another library, by --keep {keep}")
    report_change(merged.library)


@upkeep_app.command(epilog="Example: sora index export my.library library.parquet")
def export(
    library: LibraryArgument,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The Parquet file to write.")],
    force: ForceOption = False,
    as_json: JsonOption = False,
) -> None:
    """Write a library, with its vectors, as one Parquet file."""
    check_files("file", [file], force=force)
    opened = open_and_warn(library)
    opened.export(file)
    slices, videos = len(opened), opened.info().videos
    if as_json:
        show.print_json({"file": file, "slices": slices, "videos": videos})
    else:
        console.say(f"{slices} slices of {videos} videos in {file}")


@upkeep_app.command("import", epilog="Example: sora index import my.library library.parquet")
def import_file(
    library: LibraryArgument,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A file that `sora index export` wrote.")],
    force: ForceOption = False,
    as_json: JsonOption = False,
) -> None:
    """Make a library from an exported file; slices keep their ids."""
    from sora_video.index.library import Library

    with replacing("library", library, "a library", force=force):
        imported = Library.from_export(library, file)
    report_change(imported, as_json)
