"""Running a server until it is asked to stop."""

import socket
from collections.abc import Callable
from dataclasses import dataclass

import uvicorn

from sora_video.base.errors import ConfigError

from .app import make_app
from .guard.heads import within
from .service import Service
from .settings import Settings

__all__ = ["Running", "run_server"]

KEEP_ALIVE_S = 15
HEAD_S = 20.0
"""Most seconds for the head of a request."""
GRACE_S = 20
"""Most seconds that requests may go on once the server is asked to stop."""
MOST_OPEN = 500
"""Connections at a time; further ones are refused with 503."""


@dataclass(frozen=True)
class Running:
    """A server that can be reached."""

    address: str
    """Such as ``http://127.0.0.1:8000``."""
    service: Service
    server: uvicorn.Server

    def stop(self) -> None:
        """Ask it to stop, as SIGTERM does; from any thread."""
        self.server.should_exit = True


def run_server(settings: Settings, started: Callable[[Running], None]) -> None:
    """Serve until SIGINT or SIGTERM; requests that are being answered may end.

    Args:
        settings: of the server.
        started: is called once the server can be reached.

    Raises:
        ConfigError: the address cannot be used.
        LibraryError: there is no such library.
        StorageError: the server's folder cannot be written.
    """
    service = Service(settings)
    with bound(settings) as listener:
        config = uvicorn.Config(
            make_app(service),
            http=within(min(HEAD_S, settings.request_s)),
            log_level="warning",
            access_log=False,
            server_header=False,
            timeout_keep_alive=KEEP_ALIVE_S,
            timeout_graceful_shutdown=GRACE_S,
            limit_concurrency=MOST_OPEN,
            proxy_headers=False,
            ws="none",
        )
        server = uvicorn.Server(config)
        service.is_stopping = lambda: server.should_exit
        listener.listen(config.backlog)
        started(Running(address(settings, listener), service, server))
        server.run(sockets=[listener])


def bound(settings: Settings) -> socket.socket:
    """A socket that listens.

    Raises:
        ConfigError: the address cannot be used.
    """
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    # named as TCP, or asyncio leaves small packets to wait for each other: 40 ms an answer
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((settings.host, settings.port))
    except OSError as error:
        listener.close()
        place = f"--host {settings.host} --port {settings.port}"
        raise ConfigError(f"{place}: cannot be used: {error.strerror}; choose another") from error
    listener.set_inheritable(True)
    return listener


def address(settings: Settings, listener: socket.socket) -> str:
    """Where the server is reached."""
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    return f"http://{host}:{listener.getsockname()[1]}"
