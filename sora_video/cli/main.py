"""The ``sora`` command."""

import errno
import os
import signal
import sys
from typing import Annotated, Any, NoReturn

import typer

from sora_video import __version__
from sora_video.base import console
from sora_video.base.errors import SoraError, Stopped
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
        "datasets": "sora_video.cli.datasets:register",
        "classify": "sora_video.cli.classify:register",
        "serve": "sora_video.cli.serve:register",
        "watch": "sora_video.cli.watch:register",
        "explain": "sora_video.cli.explain:register",
        "tour": "sora_video.cli.tour:register",
    },
)
"""Groups of commands; each is a function that adds its commands to the ``sora`` command."""
USAGE_ERROR: type[Exception] = typer.BadParameter.__bases__[0]
"""Words of a command line that do not fit; typer gives the class no public name."""


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
        context_settings={"help_option_names": ["-h", "--help"]},
        help="Learn video representations without labels, search with them, and measure them.",
    )
    app.callback()(check_options)
    for name in COMMANDS.names():
        COMMANDS.load(name)(app)
    return app


def print_version(wanted: bool) -> None:
    """Print the version and end, where ``--version`` is given."""
    if wanted:
        console.say(f"sora-video {__version__}")
        raise typer.Exit


def check_options(
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=print_version, help="Print the version.")
    ] = False,
) -> None:
    """Take the options that stand before a command."""


def main() -> None:
    """Run the command, and end the process.

    The exit code is 0, also after a stop that a limit asked for; 2 for the mistakes of users, told in one
    line; 1 for a fault of the command, with a traceback; 130 after Ctrl-C; 143 after SIGTERM, where it is
    handled; 141 where the reader of its output went away.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # idle compute threads leave processors to decoding
    console.spell_unknown_characters()
    try:
        code = make_app()(prog_name="sora", standalone_mode=False)
        if sys.stdout is not None:  # as it is where it was closed by >&-
            sys.stdout.flush()
        sys.exit(code)
    except Stopped as stop:
        console.note(str(stop))  # the output may be JSON
        sys.exit(stop.exit_code)
    except SoraError as error:
        refuse(str(error))
    except USAGE_ERROR as error:
        refuse(usage_line(error))
    except BrokenPipeError:
        end_by_closed_pipe()
    except OSError as error:  # a path that cannot be read or made, outside of reading videos; or the output
        refuse(storage_line(error))
    except (typer.Abort, KeyboardInterrupt):  # Abort: Ctrl-C, or the end of input, at a question
        sys.exit(128 + signal.SIGINT)
    except SystemExit as end:
        if isinstance(end.__context__, BrokenPipeError):  # for which typer ends with 1
            end_by_closed_pipe()
        raise


def end_by_closed_pipe() -> NoReturn:
    """End as a program whose reader went away, such as ``head``: without a word, by the signal's code."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what is left is written at the exit
    sys.exit(128 + signal.SIGPIPE)


def refuse(line: str) -> NoReturn:
    """Print an error in one line and end the process with exit code 2; an empty line is left out."""
    if line:
        console.note(f"error: {line}")
    sys.exit(2)


def storage_line(error: OSError) -> str:
    """What the system refused, and the remedy."""
    is_full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    remedy = "free space" if is_full else "check that the path exists and that you may use it"
    place = f"{error.filename}: " if error.filename else "standard output: " if is_full else ""
    return f"{place}{error.strerror or error}; {remedy}"


def usage_line(error: Any) -> str:
    """What is wrong with the words of a command line; nothing where help was printed in its place."""
    message = " ".join(error.format_message().split()).rstrip(".")
    return f"{message}; see `{error.ctx.command_path} --help`" if message and error.ctx else message
