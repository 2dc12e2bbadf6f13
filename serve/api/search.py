"""Search routes."""

from collections.abc import Sequence
from typing import Annotated, Any

import numpy as np
from fastapi import APIRouter, Body, File, Form, Response, UploadFile

from sora_video.base.errors import ConfigError, LibraryError
from sora_video.index.example import Example, check_aspect
from sora_video.index.localize import localize
from sora_video.index.query import AGREE, Query, without_times
from sora_video.index.search.search import Hit
from sora_video.index.several import query_by_examples

from ..pool import Pool
from ..served import Served
from ..service import Service, ServiceDep
from ..uploads import Upload, named, received
from ..wheres import where_of
from .answers import json_response
from .values import Asked, EncoderValue, Hits, Searched, SearchRequest

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
    "several": {
        "summary": "What is like both of two slices",
        "value": {"several": [{"slice_id": 17}, {"slice_id": 40}]},
    },
}
KINDS = ("slice_id", "video_id", "text")
MANY = 100
"""Vectors from which a search takes long."""


@router.post("/search", response_model=Hits)
async def search(
    request: Annotated[SearchRequest, Body(openapi_examples=EXAMPLES)], service: ServiceDep
) -> Response:
    """Find videos with what is like a slice, a span of a library's video, words or vectors, or several."""
    check_one(request, (*KINDS, "vectors", "several"))
    for asked in request.several or ():
        check_one(asked, KINDS)
    return await pool_for(service, request).run(answer, service, request)


@uploads.post("/search/upload", response_model=Hits)
async def search_upload(
    service: ServiceDep,
    file: Annotated[
        list[UploadFile], File(description="Videos, and images that follow each other by name; see `apart`.")
    ],
    start_s: Annotated[float | None, Form(ge=0)] = None,
    end_s: Annotated[float | None, Form(gt=0)] = None,
    fps: Annotated[float | None, Form(gt=0, le=1000, description="Images per second.")] = None,
    apart: Annotated[
        bool, Form(description="Each image is an example of its own, not part of a film.")
    ] = False,
    slice_id: Annotated[list[int], Form(description="Slices of the library to search for too.")] = [],  # noqa: B006
    top: Annotated[int, Form(ge=1, le=1000)] = 10,
    exclude: Annotated[list[str], Form()] = [],  # noqa: B006 - FastAPI copies it
    where: Annotated[list[str], Form()] = [],  # noqa: B006
    by: Annotated[str | None, Form()] = None,
    agree: Annotated[bool, Form()] = AGREE,
) -> Response:
    """Find videos that show the same as an uploaded video, as images, or as several of them, and where."""
    how = Searched(top=top, exclude=exclude, where=where, by=by, agree=agree)
    async with received(file, service, apart=apart) as sent:
        return await service.receiving.run(
            answer_uploads, service, how, sent, (start_s, end_s), fps, slice_id
        )


@router.get("/encoder", response_model=EncoderValue)
async def about_encoder(service: ServiceDep) -> Response:
    """Say what the encoder can search by; the first request loads it."""
    return await service.reading.run(encoder_of, service)


def pool_for(service: Service, request: SearchRequest) -> Pool:
    """Where a search is answered: words do not wait for films that are decoded, nor slices for words."""
    asked = asked_of(request)
    if any(each.video_id is not None for each in asked) or len(request.vectors or ()) > MANY:
        return service.embedding
    return service.reading if any(each.text is not None for each in asked) else service.searching


def encoder_of(service: Service) -> Response:
    """Whether the encoder has a text tower, and its aspects."""
    try:
        encoder = service.encoders(service.library.now().library.model)
    except (ConfigError, LibraryError):
        return json_response({"words": False, "by": []})
    try:
        encoder.words  # noqa: B018 - loads it
    except ConfigError:
        return json_response({"words": False, "by": encoder.alone})
    return json_response({"words": True, "by": encoder.alone})


def check_one(request: Asked, kinds: Sequence[str]) -> None:
    """Refuse a request that asks for nothing, or for several things without saying so.

    Raises:
        ConfigError: it does.
    """
    given = [name for name in kinds if getattr(request, name) is not None]
    if len(given) != 1:
        raise ConfigError(f"{', '.join(given) or 'nothing'} given: name one of {', '.join(kinds)}")
    if request.video_id is None and (request.start_s is not None or request.end_s is not None):
        raise ConfigError("start_s, end_s: apply to video_id; leave them out")


def answer(service: Service, request: SearchRequest) -> Response:
    """Search, and say what was found."""
    served = service.library.now()
    if request.vectors is not None:
        query = vectors_query(service, served, request)
    else:
        examples = [example_of(service, served, asked, request.by) for asked in asked_of(request)]
        query = examples_query(service, served, examples, request)
    return json_response({"hits": hit_values(served, localize(served.library, query))})


def answer_uploads(
    service: Service,
    how: Searched,
    sent: Sequence[Upload],
    span: tuple[float | None, float | None],
    fps: float | None,
    slices: Sequence[int],
) -> Response:
    """Search for uploads, and slices; what is wrong with an upload is told by its own name."""
    if span != (None, None) and len(sent) + len(slices) > 1:
        raise ConfigError("start_s, end_s: apply to one video; leave them out")
    if fps is not None and not any(upload.is_folder for upload in sent):
        raise ConfigError(f"fps={fps:g}: applies to images; leave it out")
    for upload in sent:
        with named([upload]):
            upload.check(service.settings.uploads)
    served = service.library.now()
    examples = [Example(f"slice:{number}", by=how.by) for number in slices]
    for upload in sent:
        rate = fps if upload.is_folder else None
        examples.append(Example(upload.path, start_s=span[0], end_s=span[1], by=how.by, fps=rate))
    with named(sent):
        query = examples_query(service, served, examples, how)
    return json_response({"hits": hit_values(served, localize(served.library, query))})


def asked_of(request: SearchRequest) -> Sequence[Asked]:
    """What a request asks for, one or several."""
    return request.several if request.several is not None else [request]


def example_of(service: Service, served: Served, asked: Asked, by: str | None) -> Example:
    """The example that a request names."""
    if asked.slice_id is not None:
        return Example(f"slice:{asked.slice_id}", by=by)
    if asked.text is not None:
        return Example(f"text:{asked.text}", by=by)
    path = service.media.file(served.library, asked.video_id or "")
    return Example(path, start_s=asked.start_s, end_s=asked.end_s, by=by)


def examples_query(service: Service, served: Served, examples: Sequence[Example], how: Searched) -> Query:
    """The query of examples."""
    return query_by_examples(
        served.library,
        examples,
        top=how.top,
        exclude=how.exclude,
        where=where_of(how.where, service.maps),
        agree=how.agree,
        encoders=service.encoders.within(service.settings.request_s),
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
            **vars(hit),
            "sure": hit.sure,
            "media_id": served.media_id(hit.video_id),
            "duration_s": durations[hit.video_id],
        }
        for hit in hits
    ]
