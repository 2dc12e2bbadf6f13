"""Routes for those who look after the server."""

from fastapi import APIRouter, Response

from sora_video.base.plain import plain

from ..metrics import CONTENT_TYPE_LATEST
from ..service import Service, ServiceDep
from .answers import json_response

__all__ = ["router"]

router = APIRouter(tags=["health"])


@router.get("/healthz")
async def alive() -> dict[str, str]:
    """Whether the process answers; needs no token."""
    return {"status": "ok"}


@router.get("/readyz")
async def ready(service: ServiceDep) -> Response:
    """Whether the library can be searched; needs no token."""
    return await service.searching.run(readiness, service)


@router.get("/metrics", response_class=Response)
async def metrics(service: ServiceDep) -> Response:
    """Numbers for Prometheus."""
    return Response(await service.searching.run(service.metrics.text), media_type=CONTENT_TYPE_LATEST)


@router.get("/api/v1/info")
async def info(service: ServiceDep) -> Response:
    """The library in numbers, as `sora index info --json`; of the encoder's place the last name alone."""
    return await service.searching.run(numbers, service)


def readiness(service: Service) -> Response:
    """Whether the library can be read now."""
    library = service.library.now().library
    if library.damage:
        return json_response({"status": "damaged", "slices": len(library)})
    return json_response({"status": "ready", "slices": len(library)})


def numbers(service: Service) -> Response:
    """The library in numbers, and what the server allows."""
    facts = plain(service.library.now().library.info())
    model = facts["model"]
    facts["model"] = None if model is None else "+".join(part.rpartition("/")[2] for part in model.split("+"))
    limits = service.settings.uploads
    server = {
        "read_only": service.settings.read_only,
        "asks_token": service.sessions is not None,
        "events": service.settings.events is not None,
        "videos": service.settings.videos is not None,
        "runs": service.settings.runs is not None,
        "upload_megabytes": limits.megabytes,
        "upload_seconds": limits.seconds,
        "upload_pixels": limits.pixels,
        "upload_files": limits.files,
    }
    return json_response({**facts, "server": server})
