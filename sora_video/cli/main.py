"""The ``sora`` command."""

import os
import sys

import typer

from sora_video.base.console import printable
from sora_video.base.errors import SoraError
from sora_video.base.registry import Registry

__all__ = ["COMMANDS", "main", "make_app"]

COMMANDS = Registry(
    "command",
    "sora_video.commands",
    {
        "video": "sora_video.cli.video:register",
        "train": "sora_video.cli.train:register",
        "models": "sora_video.cli.models:register",
        "export": "sora_video.cli.export:register",
        "index": "sora_video.cli.index:register",
        "search": "sora_video.cli.search:register",
        "probe": "sora_video.cli.probe:register",
        "classify": "sora_video.cli.classify:register",
        "explain": "sora_video.cli.explain:register",
        "tour": "sora_video.cli.tour:register",
    },
)
"""Groups of commands; each is a function that adds its commands to the ``sora`` command."""


def make_app() -> typer.Typer:
    """The ``sora`` command with all of its groups, those of other packages last.

    Returns:
        The command.

    Raises:
        ConfigError: a group of another package cannot be imported.
    """
    app = typer.Typer(
        name="sora",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        rich_markup_mode="rich",
        help="Learn video representations without labels, search with them, and measure them.",
    )
    for name in COMMANDS.names():
        COMMANDS.load(name)(app)
    return app


def main() -> None:
    """Run the command; the user's mistakes end in one line and exit code 2."""
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # idle compute threads leave processors to decoding
    try:
        make_app()()
    except SoraError as error:
        print(printable(f"error: {error}"), file=sys.stderr)
        sys.exit(2)
    except OSError as error:  # a path that cannot be read or made, outside of reading videos
        line = f"error: {error}; check that the path exists and that you may use it"
        print(printable(line), file=sys.stderr)
        sys.exit(2)
