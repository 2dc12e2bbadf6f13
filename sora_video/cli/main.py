"""The ``sora`` command."""

import os
import sys

import typer

from sora_video.base.errors import SoraError

from . import classify, explain, index, probe, search, tour, train, video

__all__ = ["app", "main"]

app = typer.Typer(
    name="sora",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    help="Learn video representations without labels, search with them, and measure them.",
)
for group in (video, train, index, search, probe, classify, explain, tour):
    group.register(app)


def main() -> None:
    """Run the command; the user's mistakes end in one line and exit code 2."""
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # idle compute threads leave processors to decoding
    try:
        app()
    except SoraError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    except OSError as error:  # a place that cannot be read or made, met outside of any video
        print(f"error: {error}; check that it exists and may be used", file=sys.stderr)
        sys.exit(2)
