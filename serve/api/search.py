"""Search routes."""

from typing import Annotated, Any

import numpy as np
from fastapi import APIRouter, Body, File, Form, Response, UploadFile

from sora_video.base.errors import ConfigError, LibraryError
from sora_video.base.plain import plain
from sora_video.index.example import Example, check_aspect, query_by_example
from sora_video.index.localize import localize
from sora_video.index.query import AGREE, Query, without_times
from sora_video.index.search.search import Hit

from ..served import Served
from ..service import Service, ServiceDep
from ..uploads import Upload, received
from ..wheres import where_of
from .answers import json_response
from .values import Hits, Searched, SearchRequest, Words

__all__ = ["hit_values", "router", "uploads"]

router = APIRouter(prefix="/api/v1", tags=["search"])
uploads = APIRouter(prefix="/api/v1", tags=["search"])
"""Routes that take files."""
EXAMPLES: dict[str, Any] = {
    "slice": {"summary": "More like a slice", "value": {"slice_id": 17, "top": 5}},
    "span": {
        "summary": "A span of a video",
        "value": {"video_id": "kitchen/0001.mp4", "start_s": 2, "end_s": 5, "exclude": ["kitchen/0001.mp4"]},
    },
    "words": {"summary": "Words", "value": {"text": "a person falls", "where": ["camera=3"]}},
    "vectors": {"summary": "Embeddings", "value": {"vectors": [[0.6, 0.8]], "top": 20}},
}
KINDS = ("slice_id", "video_id", "vectors", "text")


@router.post("/search", response_model=Hits)
async def search(
    request: Annotated[SearchRequest, Body(openapi_examples=EXAMPLES)], service: ServiceDep
) -> Response:
    """Find videos with what is like a slice, a span of a library's video, vectors or words, and where."""
    check_one(request)
    embeds = request.text is not None or request.video_id is not None
    pool = service.embedding if embeds else service.searching
    return await pool.run(answer, service, request)


@uploads.post("/search/upload", response_model=Hits)
async def search_upload(
    service: ServiceDep,
    file: Annotated[list[UploadFile], File(description="A video, or images that follow each other by name.")],
    start_s: Annotated[float | None, Form(ge=0)] = None,
    end_s: Annotated[float | None, Form(gt=0)] = None,
    fps: Annotated[float | None, Form(gt=0, le=1000, description="Images per second.")] = None,
    top: Annotated[int, Form(ge=1, le=1000)] = 10,
    exclude: Annotated[list[str], Form()] = [],  # noqa: B006 - FastAPI copies it
    where: Annotated[list[str], Form()] = [],  # noqa: B006
    by: Annotated[str | None, Form()] = None,
    agree: Annotated[bool, Form()] = AGREE,
) -> Response:
    """Find videos that show the same as an uploaded video, or as uploaded images, and where."""
    how = Searched(top=top, exclude=exclude, where=where, by=by, agree=agree)
    async with received(file, service) as upload:
        return await service.embedding.run(answer_upload, service, how, upload, (start_s, end_s), fps)


@router.get("/encoder", response_model=Words)
async def about_encoder(service: ServiceDep) -> Response:
    """Say whether the encoder takes words; the first request loads it."""
    return await service.embedding.run(words_of, service)


def words_of(service: Service) -> Response:
    """Whether the encoder has a text tower."""
    try:
        service.encoders(service.library.now().library.model).words  # noqa: B018 - loads it
    except (ConfigError, LibraryError):
        return json_response({"words": False})
    return json_response({"words": True})


def check_one(request: SearchRequest) -> None:
    """Refuse a request that asks for nothing, or for several things.

    Raises:
        ConfigError: it does.
    """
    given = [name for name in KINDS if getattr(request, name) is not None]
    if len(given) != 1:
        raise ConfigError(f"{', '.join(given) or 'nothing'} given: name one of {', '.join(KINDS)}")
    if request.video_id is None and (request.start_s is not None or request.end_s is not None):
        raise ConfigError("start_s, end_s: apply to video_id; leave them out")


def answer(service: Service, request: SearchRequest) -> Response:
    """Search, and say what was found."""
    served = service.library.now()
    if request.vectors is not None:
        query = vectors_query(service, served, request)
    else:
        query = example_query(service, served, example_of(service, served, request), request)
    return json_response({"hits": hit_values(served, localize(served.library, query))})


def answer_upload(
    service: Service,
    how: Searched,
    upload: Upload,
    span: tuple[float | None, float | None],
    fps: float | None,
) -> Response:
    """Search for an upload; what is wrong with it is told by its own name."""
    with upload.named():
        if fps is not None and not upload.is_folder:
            raise ConfigError(f"fps={fps:g}: applies to images; leave it out")
        upload.check(service.settings.uploads)
        served = service.library.now()
        example = Example(upload.path, start_s=span[0], end_s=span[1], by=how.by, fps=fps)
        query = example_query(service, served, example, how)
        return json_response({"hits": hit_values(served, localize(served.library, query))})


def example_of(service: Service, served: Served, request: SearchRequest) -> Example:
    """The example that a request names."""
    if request.slice_id is not None:
        return Example(f"slice:{request.slice_id}", by=request.by)
    if request.text is not None:
        return Example(f"text:{request.text}", by=request.by)
    path = service.media.file(served.library, request.video_id or "")
    return Example(path, start_s=request.start_s, end_s=request.end_s, by=request.by)


def example_query(service: Service, served: Served, example: Example, how: Searched) -> Query:
    """The query of an example."""
    return query_by_example(
        served.library,
        example,
        top=how.top,
        exclude=how.exclude,
        where=where_of(how.where, service.maps),
        agree=how.agree,
        encoders=service.encoders,
    )


def vectors_query(service: Service, served: Served, request: SearchRequest) -> Query:
    """The query of embeddings."""
    rows = request.vectors or []
    if len({len(row) for row in rows}) != 1:
        raise ConfigError("vectors: rows differ in length; send (N, D) numbers, one vector a row")
    embeddings = without_times(np.array(rows, np.float32), served.library.fingerprint)
    check_aspect("vectors", embeddings, served.library.aspect(request.by))
    return Query(
        embeddings,
        top=request.top,
        exclude=request.exclude,
        where=where_of(request.where, service.maps),
        by=request.by,
        agree=request.agree,
    )


def hit_values(served: Served, hits: list[Hit]) -> list[dict[str, Any]]:
    """Hits as `sora search --json` has them, with the opaque ids of their videos and how long these are.

    Args:
        served: the library.
        hits: that were found in it.
    """
    durations = served.library.durations([hit.video_id for hit in hits])
    return [
        {
            **plain(hit),
            "sure": hit.sure,
            "media_id": served.media_id(hit.video_id),
            "duration_s": durations[hit.video_id],
        }
        for hit in hits
    ]
