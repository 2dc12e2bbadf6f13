"""The login page: it takes the token, and gives the browser a session."""

from pathlib import Path
from urllib.parse import parse_qs

from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse

from .guard.rates import Rates
from .service import ServiceDep

__all__ = ["router"]

router = APIRouter(include_in_schema=False)
PAGE = Path(__file__).with_name("page") / "login.html"
TRIES = Rates(rate=0.2, burst=10)
MOST_BYTES = 4096
SAID = "<!-- said -->"
WRONG = '<p role="alert">This is not the token.</p>'
OFTEN = '<p role="alert">Too many tries; wait a minute.</p>'


@router.get("/login")
async def show_login() -> Response:
    """The page."""
    return page("")


@router.post("/login")
async def log_in(request: Request, service: ServiceDep) -> Response:
    """Take the token from the page's form."""
    if service.sessions is None:
        return RedirectResponse("/", 303)
    if not TRIES.take(request.client.host if request.client else ""):
        return page(OFTEN, 429)
    body = b""
    async for block in request.stream():
        body += block
        if len(body) > MOST_BYTES:
            return page(WRONG, 403)
    (given,) = parse_qs(body.decode(errors="replace")).get("token", [""])[:1]
    if not service.sessions.is_token(given.strip()):
        return page(WRONG, 403)
    answer = RedirectResponse("/", 303)
    service.sessions.begin(request, answer)
    return answer


@router.post("/logout")
async def log_out(request: Request, service: ServiceDep) -> Response:
    """End the browser's session, whoever has its cookie."""
    answer = RedirectResponse("/login", 303)
    if service.sessions is not None:
        await service.writing.run(service.sessions.end, request, answer)
    return answer


def page(said: str, status: int = 200) -> Response:
    """The login page with a sentence on it."""
    return HTMLResponse(PAGE.read_text(encoding="utf-8").replace(SAID, said), status)
