"""The command on data sets."""

from pathlib import Path
from typing import Annotated

import typer

from sora_video.base import console
from sora_video.base.errors import ConfigError

from . import show
from .arguments import JoinLabelsOption, JsonOption
from .replace import ForceOption, check_files

__all__ = ["register"]

EXAMPLE = "sora datasets ucf101 ~/UCF101 --out ucf101.csv"


def register(app: typer.Typer) -> None:
    """Add the command of this file.

    Args:
        app: the ``sora`` command.
    """
    app.command(epilog=f"Example: {EXAMPLE}")(datasets)


def datasets(
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME]", help="A data set; without it, all are listed.")
    ] = None,
    folder: Annotated[
        Path | None, typer.Argument(metavar="[FOLDER]", help="The folder of your copy.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="The manifest to write, a .csv.")
    ] = None,
    no_groups: Annotated[
        bool, typer.Option("--no-groups", help="Keep the splits, without a check of groups.")
    ] = False,
    join_labels: JoinLabelsOption = False,
    force: ForceOption = False,
    as_json: JsonOption = False,
) -> None:
    """List the supported data sets, or write the manifest of your copy of one."""
    from sora_video.downstream.datasets.manifest import files_of, write_dataset
    from sora_video.downstream.datasets.registry import DATASETS

    if name is None:
        print_known(as_json)
        return
    DATASETS.load(name)  # refuses a name that is not known
    if folder is None or out is None or out.suffix.lower() != ".csv":
        raise ConfigError(f"data set {name}: name its folder and a .csv to write, as in `{EXAMPLE}`")
    check_files("--out", files_of(name, out), force=force)
    written = write_dataset(name, folder, out, groups=not no_groups, join_labels=join_labels)
    if as_json:
        show.print_json({"manifest": out, "videos": written.rows, "missing": written.missing})
        return
    console.say(f"{written.rows} rows in {out}{written.note}")
    if written.missing:
        total = written.rows + len(written.missing)
        shown = ", ".join(written.missing[:5]) + ", …" * (len(written.missing) > 5)
        console.say(f"{len(written.missing)} of {total} videos are missing: {shown}")


def print_known(as_json: bool) -> None:
    """List the data sets that there are."""
    from sora_video.downstream.datasets.manifest import list_datasets

    known = list_datasets()
    if as_json:
        show.print_json(known)
        return
    columns = {"name": "name", "title": "data set", "splits": "splits", "groups": "groups", "home": "from"}
    rows = [{columns[key]: text for key, text in row.items()} for row in known]
    show.print_table(rows, prose=["data set", "splits", "groups"])
