"""The ``sora index`` command that embeds a library anew."""

from typing import Annotated

import typer

from sora_video.base import console

from . import show
from .arguments import JsonOption, LibraryArgument, ModelOption
from .library import change_of, open_and_warn, report_change
from .stop import stopping

__all__ = ["migrate_app"]

migrate_app = typer.Typer()


@migrate_app.command(
    epilog="Example: sora index migrate my.library --model runs/second   |   "
    "sora index migrate my.library --model runs/second --videos labels.csv"
)
def migrate(
    library: LibraryArgument,
    model: ModelOption,
    videos: Annotated[
        str | None,
        typer.Option(
            "--videos",
            metavar="CORPUS",
            help="Corpus that has the library's videos under the same names; default: the folders that they "
            "were added from.",
        ),
    ] = None,
    drop: Annotated[
        bool, typer.Option("--drop", help="Leave out videos that cannot be embedded again.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Embed a library again with another encoder; searches use the old embeddings until it is done."""
    from sora_video.index.migrate import migrate_library

    tuned = bool(open_and_warn(library).info().indexes)
    with stopping(lambda: f"{library} is as it was, what was embedded is kept, and the same command goes on"):
        migrated = migrate_library(library, model, videos, drop=drop)
    if as_json:
        embedded = {"embedded": migrated.embedded, "unreadable": migrated.failures}
        show.print_json({**change_of(migrated.library), **embedded})
        return
    console.say(f"{migrated.embedded} videos embedded by {model}")
    report_change(migrated.library, failures=migrated.failures)
    if tuned:
        console.warn(f"{library}: search is exact again; choose an index with `sora index tune`")
