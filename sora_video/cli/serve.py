"""The command that serves a library over HTTP."""

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sora_video.base import console
from sora_video.base.errors import ConfigError

from .arguments import LibraryArgument

if TYPE_CHECKING:
    from sora_video.serve.run import Running

__all__ = ["register"]

MODULES = ("fastapi", "prometheus_client", "python_multipart", "uvicorn")

HeadOption = Annotated[
    Path | None, typer.Option("--head", metavar="HEAD", help="A classifier for the page and for jobs.")
]
VideosOption = Annotated[
    Path | None,
    typer.Option(
        "--videos",
        metavar="FOLDER",
        help="Folder of the library's videos; default: where they were added from.",
    ),
]
WatchFolderOption = Annotated[
    bool, typer.Option("--watch-folder", help="Add new files in the folder of --videos as they come.")
]
TakeAwayOption = Annotated[
    bool, typer.Option("--take-away", help="With --watch-folder, remove videos whose files are gone.")
]
EventsOption = Annotated[
    Path | None,
    typer.Option(
        "--events", metavar="FOLDER", help="Folder of `sora watch --out`; its events are sent to clients."
    ),
]
RunsOption = Annotated[
    Path | None, typer.Option("--runs", metavar="FOLDER", help="Folder of runs, to show side by side.")
]
HostOption = Annotated[
    str, typer.Option("--host", help="Address to listen on; all but loopback addresses require a token.")
]
PortOption = Annotated[int, typer.Option("--port", help="Port to listen on; 0: any free one.")]
NameOption = Annotated[
    list[str] | None,
    typer.Option("--name", help="Host name of the server, besides localhost; may be repeated."),
]
TokenOption = Annotated[bool, typer.Option("--token", help="Require the token on a loopback address too.")]
ReadOnlyOption = Annotated[
    bool, typer.Option("--read-only", help="Refuse all changes of the library, labels and heads.")
]
StateOption = Annotated[
    Path | None,
    typer.Option(
        "--state", metavar="FOLDER", help="Folder for the server's own files; default: LIBRARY.serve."
    ),
]
RateOption = Annotated[
    float, typer.Option("--rate", help="Maximum requests per second from one address; 0: no limit.")
]
CacheOption = Annotated[
    int, typer.Option("--cache-mb", metavar="MB", help="Maximum disk space of previews and pictures.")
]


def register(app: typer.Typer) -> None:
    """Add the commands of this file.

    Args:
        app: the ``sora`` command.
    """
    app.command(
        epilog="Example: sora serve my.library   |   sora serve my.library --host 0.0.0.0 --videos /media"
    )(serve)


def serve(
    library: LibraryArgument,
    head: HeadOption = None,
    videos: VideosOption = None,
    watch_folder: WatchFolderOption = False,
    take_away: TakeAwayOption = False,
    events: EventsOption = None,
    runs: RunsOption = None,
    host: HostOption = "127.0.0.1",
    port: PortOption = 8000,
    name: NameOption = None,
    token: TokenOption = False,
    read_only: ReadOnlyOption = False,
    state: StateOption = None,
    rate: RateOption = 100.0,
    cache_mb: CacheOption = 4096,
) -> None:
    """Serve a library over HTTP: the API, and a page on it."""
    if lacking := [module for module in MODULES if find_spec(module) is None]:
        raise ConfigError(f"sora serve: needs the packages {', '.join(lacking)}; install sora-video[serve]")
    from sora_video.serve.run import run_server
    from sora_video.serve.settings import Settings, state_folder

    settings = Settings(
        library=library.expanduser(),
        state=(state or state_folder(library)).expanduser(),
        head=expanded(head),
        videos=expanded(videos),
        follows=watch_folder,
        takes_away=take_away,
        events=expanded(events),
        runs=expanded(runs),
        host=host,
        port=port,
        names=tuple(name or ()),
        ask_token=token,
        read_only=read_only,
        rate=rate,
        cache_mb=cache_mb,
    )
    run_server(settings, announce)


def expanded(path: Path | None) -> Path | None:
    """A path whose ``~`` is the home folder."""
    return None if path is None else path.expanduser()


def announce(running: "Running") -> None:
    """Say where the server is, and where its token."""
    settings = running.service.settings
    console.say(f"serving {settings.library} at {running.address}; Ctrl-C ends it")
    if running.service.token is not None:
        console.say(f"clients need the token in {settings.state / 'token'}")
