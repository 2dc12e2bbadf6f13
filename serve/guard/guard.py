"""What stands before all routes: it refuses what may not pass, and puts the same headers on every answer."""

import asyncio
import time
from typing import TYPE_CHECKING, Any

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ..api.answers import json_response
from .hosts import is_trusted
from .rates import Rates

if TYPE_CHECKING:
    from ..service import Service

__all__ = ["Guard"]

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
        "media-src 'self' blob:; connect-src 'self'; font-src 'self'; form-action 'self'; base-uri 'none'; "
        "frame-ancestors 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}
CHECKED = "no-cache"
"""Caching of the page's code: kept, and asked for again only if it has changed."""
OPEN = ("/healthz", "/readyz", "/login")
"""Paths that need no token."""
SAFE = ("GET", "HEAD", "OPTIONS")
COSTLY = ("/api/", "/media/", "/metrics")
"""Beginnings of paths that no page of another site may ask for, though it cannot read the answer."""
CHANGES_NOTHING = ("/api/v1/search", "/api/v1/search/upload", "/login", "/logout")
"""Paths of requests that a read-only server takes although their method may change something."""
TOO_LARGE, FAULT = 413, 500
LARGE = b'{"error":"more was sent than is taken; see upload_megabytes and the others of /api/v1/info"}'
"""What is said in place of Starlette's own words."""
ENDLESS = ("/media/", "/api/v1/events", "/api/v1/duplicates")
"""Beginnings of paths whose answers may take as long as they do."""


class Guard:
    """See the module.

    Args:
        app: the routes.
        service: of the server.
    """

    def __init__(self, app: ASGIApp, service: "Service") -> None:
        settings = service.settings
        self.app, self.service = app, service
        self.names = {name.lower() for name in (*settings.names, settings.host)}
        self.sessions = service.sessions
        self.rates = Rates(settings.rate, 4 * settings.rate)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self.app(scope, receive, send)
            return  # a websocket is not taken, which closes it
        begun, status, is_plain = time.monotonic(), 0, False

        async def send_guarded(message: Message) -> None:
            nonlocal status, is_plain
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                is_plain = status == TOO_LARGE and headers.get("content-type", "").startswith("text/plain")
                if is_plain:
                    headers["content-type"], headers["content-length"] = "application/json", str(len(LARGE))
                for name, value in HEADERS.items():
                    headers[name] = value
                headers.setdefault(
                    "Cache-Control", CHECKED if scope["path"].startswith("/page/") else "no-store"
                )
            elif is_plain:
                message = {**message, "body": LARGE}
            await send(message)

        with self.service.metrics.open.track_inprogress():
            try:
                refusal = self.refusal(Request(scope))
                if refusal is not None:
                    await refusal(scope, receive, send_guarded)
                else:
                    await self.pass_on(scope, receive, send_guarded, lambda: status != 0)
            except Exception:
                if status != FAULT:  # which Starlette raises again once it is answered and logged
                    raise
            finally:
                route = getattr(scope.get("route"), "path", "")
                self.service.metrics.count(scope["method"], route, status or 499, time.monotonic() - begun)

    async def pass_on(self, scope: Scope, receive: Receive, send: Send, has_begun: Any) -> None:
        """Let a request through, and end it when its time is over."""
        limit_s = None if scope["path"].startswith(ENDLESS) else self.service.settings.request_s
        try:
            async with asyncio.timeout(limit_s):
                await self.app(scope, receive, send)
        except TimeoutError:
            if has_begun():
                raise
            problem = f"took more than {limit_s:g} s; send less, or try again later"
            await refused(504, problem)(scope, receive, send)

    def refusal(self, request: Request) -> Response | None:
        """Why a request may not pass; None: it may."""
        if not is_trusted(request.headers.get("host", ""), self.names):
            return refused(421, "Host: this server has no such name; see --name of `sora serve`")
        if not self.rates.take(request.client.host if request.client else ""):
            return refused(429, "too many requests; wait a second", {"Retry-After": "1"})
        path, changes = request.url.path, request.method not in SAFE
        if not is_same_site(request) and (changes or path.startswith(COSTLY)):
            return refused(403, "this request comes from another site")
        if (
            self.sessions
            and path not in OPEN
            and not path.startswith("/page/")
            and not self.sessions.knows(request)
        ):
            if request.method == "GET" and "text/html" in request.headers.get("accept", ""):
                return RedirectResponse("/login", 303)
            return refused(401, "the token is missing or wrong", {"WWW-Authenticate": "Bearer"})
        if changes and self.service.settings.read_only and path not in CHANGES_NOTHING:
            return refused(403, "this server is read-only")
        return None


def is_same_site(request: Request) -> bool:
    """Whether a request comes from the server's own page, or from a program.

    Browsers say where a request comes from; programs need not.
    """
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        return site in ("same-origin", "none")
    origin = request.headers.get("origin")
    if origin is None:
        return True
    return origin.lower() == f"{request.url.scheme}://{request.headers.get('host', '').lower()}"


def refused(status: int, problem: str, headers: dict[str, str] | None = None) -> Response:
    """A refusal in one line."""
    answer = json_response({"error": problem}, status)
    answer.headers.update(headers or {})
    return answer
