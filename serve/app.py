"""The application: routes behind a guard, with refusals in one line each."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse
from fastapi.staticfiles import StaticFiles
from fastapi.telemetry import TelemetryConfig
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from sora_video import __version__
from sora_video.base.errors import SoraError

from . import login
from .api import health, jobs, maps, media, runs, search, videos
from .api.answers import json_response
from .api.values import REFUSALS
from .guard.guard import Guard
from .refusals import BusyError, status_of, told
from .service import Service

__all__ = ["make_app"]

log = logging.getLogger("sora_video.serve")
PAGE = Path(__file__).with_name("page")
SILENT = TelemetryConfig(
    tracing=False, metrics=False, logs=False, operation_spans=False, auto_configure=False
)
MEGABYTE = 1 << 20
JSON_BYTES = 64 * MEGABYTE
"""Most bytes of a request in JSON, such as thousands of vectors."""


def make_app(service: Service) -> Guard:
    """The application of a server.

    Args:
        service: what its requests share; closed with the application.
    """

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        service.start()
        yield
        await asyncio.to_thread(service.close)

    app = FastAPI(
        title="sora-video",
        version=__version__,
        description="A library of video: search, media, labels and jobs.",
        openapi_url="/api/v1/openapi.json",
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
        telemetry=SILENT,
        max_body_size=JSON_BYTES,
        responses=REFUSALS,
    )
    app.state.service = service
    uploads = service.settings.uploads
    app.include_router(health.router)
    app.include_router(videos.router)
    app.include_router(maps.router)
    app.include_router(jobs.router)
    app.include_router(runs.router)
    app.include_router(search.router)
    app.include_router(
        search.uploads,
        max_body_size=uploads.megabytes * MEGABYTE,
        form_limits={"max_files": uploads.files, "max_fields": 20_000},
    )
    app.include_router(media.router)
    app.include_router(login.router)
    app.add_api_route("/", index, include_in_schema=False)
    app.mount("/page", StaticFiles(directory=PAGE))
    for kind, answer in (
        (SoraError, refuse),
        (RequestValidationError, refuse_values),
        (HTTPException, refuse_plainly),
        (ClientDisconnect, refuse_nobody),
        (Exception, refuse_with_fault),
    ):
        app.add_exception_handler(kind, answer)
    return Guard(app, service)  # around all, also what FastAPI itself refuses


async def index() -> Response:
    """The page."""
    return FileResponse(PAGE / "index.html", media_type="text/html; charset=utf-8")


async def refuse(request: Request, error: Any) -> Response:
    """A mistake of the client, or what the server cannot do now, in one line."""
    answer = json_response({"error": told(str(error), request.app.state.service.roots())}, status_of(error))
    if isinstance(error, BusyError):
        answer.headers["Retry-After"] = "2"
    return answer


async def refuse_values(request: Request, error: Any) -> Response:
    """The first value that does not fit."""
    first = error.errors()[0]
    place = ".".join(str(part) for part in first["loc"][1:]) or str(first["loc"][0])
    line = f"{place}: {first['msg']}"
    return json_response({"error": told(line, request.app.state.service.roots())}, 422)


async def refuse_plainly(_: Request, error: Any) -> Response:
    """No such route or method, or a body that is too large."""
    answer = json_response({"error": str(error.detail)}, error.status_code)
    answer.headers.update(error.headers or {})
    return answer


async def refuse_nobody(_: Request, __: Any) -> Response:
    """A body that ended too early; nobody reads the answer."""
    return json_response({"error": "the body is not whole"}, 400)


async def refuse_with_fault(request: Request, error: Any) -> Response:
    """A fault of the server: the log has it, the client does not."""
    log.error("%s %s", request.method, request.url.path, exc_info=error)
    return json_response({"error": "the server has a fault, which its log describes"}, 500)
