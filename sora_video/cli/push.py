"""The ``sora index`` commands that bring a library to a server, and back."""

from typing import Annotated

import typer

from sora_video.base import console

from . import show
from .arguments import JsonOption, LibraryArgument
from .library import open_and_warn, report_change
from .replace import ForceOption, replacing

__all__ = ["push_app"]

push_app = typer.Typer()

AddressArgument = Annotated[
    str, typer.Argument(metavar="ADDRESS", help="milvus://HOST:PORT/COLLECTION; milvus+https:// over TLS.")
]


@push_app.command(epilog="Example: sora index push my.library milvus://localhost:19530/films")
def push(
    library: LibraryArgument,
    address: AddressArgument,
    index: Annotated[
        str | None,
        typer.Option(
            "--index", metavar="TYPE", help="Index of a new collection; FLAT is exact; default: AUTOINDEX."
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Copy a library to Milvus, or update the copy there; a push that was stopped is continued."""
    from sora_video.index.milvus.push import INDEX, push_library

    opened = open_and_warn(library)
    pushed = push_library(opened, address, index or INDEX)
    held = {"slices": len(opened), "videos": opened.info().videos}
    if as_json:
        show.print_json({"library": address, **held, **pushed._asdict()})
        return
    console.say(
        f"{address}: {pushed.added} added, {pushed.replaced} replaced, {pushed.removed} removed, "
        f"{pushed.unchanged} unchanged; {held['slices']} slices of {held['videos']} videos"
    )


@push_app.command(epilog="Example: sora index pull milvus://localhost:19530/films my.library")
def pull(
    address: AddressArgument,
    library: LibraryArgument,
    force: ForceOption = False,
    as_json: JsonOption = False,
) -> None:
    """Copy a library from Milvus to a new folder; slices keep their ids."""
    from sora_video.index.library import Library
    from sora_video.index.milvus.pull import pull_library

    with replacing("library", library, "a library", force=force):
        pulled = Library.open(pull_library(address, library))
    report_change(pulled, as_json)
