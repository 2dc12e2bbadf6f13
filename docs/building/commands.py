"""The page of all commands, made from the ``sora`` command itself."""

import re
from collections.abc import Iterator
from typing import Any

import typer

from sora_video.cli.main import make_app

__all__ = ["commands_page"]

HEAD = """# Commands

`sora --help` and `sora COMMAND --help` print what stands here.
"""


def commands_page() -> str:
    """All commands with their arguments, options and examples.

    Returns:
        Markdown.
    """
    command = typer.main.get_command(make_app())
    return "\n".join([HEAD, *describe(command, "sora")])


def describe(command: Any, name: str) -> Iterator[str]:
    """The lines of one command, or of a group of them.

    Args:
        command: of click.
        name: all words of it.
    """
    if hasattr(command, "commands"):
        for word, inner in command.commands.items():
            yield from describe(inner, f"{name} {word}")
        return
    context = command.make_context(name, [], resilient_parsing=True)
    yield f"## {name}\n\n{plain(command.help)}\n"
    yield f"```text\n{' '.join([name, *command.collect_usage_pieces(context)])}\n```\n"
    if rows := [row(parameter, context) for parameter in command.params if parameter.name != "help"]:
        yield "| argument or option | what it is |\n|---|---|\n" + "\n".join(rows) + "\n"
    for example in re.split(r"\s+\|\s+", (command.epilog or "").removeprefix("Example: ")):
        if example:
            yield f"```bash\n{example}\n```\n"


def row(parameter: Any, context: Any) -> str:
    """A line of the table: an argument or an option, and what it is."""
    words, text = parameter.get_help_record(context)
    return f"| `{escaped(words)}` | {plain(text)} |"


def plain(text: str | None) -> str:
    """A help text as a line of Markdown."""
    return escaped(" ".join((text or "").split()).replace("<", "&lt;").replace("*", r"\*"))


def escaped(text: str) -> str:
    """Text for a cell of a table."""
    return text.replace("|", r"\|")
