"""The demo, and the check of this machine."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sora_video.base import console
from sora_video.base.kinds import kind_of

from . import show
from .arguments import JsonOption, OverridesArgument
from .replace import ForceOption, replacing
from .search import search
from .stop import stopping

if TYPE_CHECKING:
    from sora_video.doctor import Check

__all__ = ["register"]

HITS = 3
DEMO, UNFINISHED = "a demo", "a demo that is not finished"


def register(app: typer.Typer) -> None:
    """Add the commands of this file.

    Args:
        app: the ``sora`` command.
    """
    app.command(epilog="Example: sora demo --out demo   |   sora demo --only-clips 240 --out videos")(demo)
    app.command(epilog="Example: sora doctor   |   sora doctor ~/videos")(doctor)


def demo(
    overrides: OverridesArgument = None,
    out: Annotated[Path, typer.Option("--out", help="Folder to create.")] = Path("demo"),
    seeds: Annotated[int, typer.Option("--seeds", min=1, help="Pretraining runs to average over.")] = 3,
    only_clips: Annotated[
        int | None,
        typer.Option(
            "--only-clips", metavar="N", help="Only make this many labelled clips, in the folder --out."
        ),
    ] = None,
    force: ForceOption = False,
    as_json: JsonOption = False,
) -> None:
    """Run everything on a small generated corpus: pretrain, embed, index, search, probe, report."""
    from sora_video.demo import make_clips, run_demo

    if only_clips is not None:
        with stopping(lambda: f"{out} was not made"), replacing("--out", out, force=force):
            labels = make_clips(out, only_clips)
        if as_json:
            show.print_json({"labels": labels, "videos": only_clips})
        else:
            console.say(f"{only_clips} clips in {out}, their labels in {labels}")
        return
    with stopping(lambda: left_of(out)), replacing("--out", out, DEMO, unfinished=UNFINISHED, force=force):
        outcome = run_demo(out, seeds, overrides or [])
    library, page = out / "library", out / "report.html"
    if as_json:
        show.print_json({**outcome.as_json(), "report": page, "library": library, "query": outcome.query})
        return
    show.print_table(outcome.table(), title=outcome.title())
    console.say(f"report: {page}")
    console.say(f"{shlex.join(['sora', 'serve', str(library)])} shows the library in a browser")
    words = ["sora", "search", str(library), str(outcome.query), "--top", str(HITS)]
    console.say(f"{shlex.join(words)} says:")
    search(str(library), str(outcome.query), top=HITS)


def left_of(out: Path) -> str:
    """What a demo that was stopped leaves."""
    kind = kind_of(out.expanduser())
    if kind == UNFINISHED:
        return f"a demo does not go on; --force begins it anew in {out}"
    return f"{out} is as it was" if kind else f"{out} was not made"


def doctor(
    films: Annotated[
        str | None,
        typer.Argument(metavar="[CORPUS]", help="Videos, to say whether browsers play them."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Check what this machine offers, one verdict a line; exits 2 if something needed is missing."""
    from sora_video.doctor import examine

    checks = examine(films)
    missing = any(check.verdict == "missing" for check in checks)
    if as_json:
        show.print_json({"ok": not missing, "checks": [check._asdict() for check in checks]})
    else:
        for check in checks:
            console.say(f"{check.verdict:7}  {check.name:10}  {told(check)}")
    if missing:
        raise typer.Exit(2)


def told(check: "Check") -> str:
    """What was found, and the remedy where there is one."""
    return f"{check.found}: {check.remedy}" if check.remedy else check.found
