"""Routes of jobs, labels, classifiers and events."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Body, Query, Request, Response
from fastapi.responses import StreamingResponse
from pydantic import Field

from sora_video.base.errors import ConfigError, SoraError
from sora_video.base.plain import plain

from ..jobs.kinds import NO_FOLDER
from ..jobs.store import Job
from ..labels import Labels, labels_path
from ..refusals import BusyError, MissingError
from ..service import Service, ServiceDep
from .answers import json_response
from .values import Strict

__all__ = ["router"]

router = APIRouter(prefix="/api/v1", tags=["jobs"])
Names = Annotated[
    list[Annotated[str, Field(max_length=4096)]],
    Field(min_length=1, max_length=10_000, description="By video_id."),
]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$")]
MOST_STREAMS = 64
MOST_WAITING = 200
"""Jobs that clients may let wait."""
LOOK_S = 0.5
ALIVE_S = 15.0


class Add(Strict):
    """Add videos that lie below the server's folder of videos; files are taken from nowhere else."""

    kind: Literal["add"]
    folder: Annotated[str, Field(max_length=4096, description="Below that folder; empty: all of it.")] = ""


class Remove(Strict):
    """Remove videos from the library; their files stay."""

    kind: Literal["remove"]
    video_ids: Names
    purge: bool = False
    ignore: bool = True


class Train(Strict):
    """Train a classifier on the labels of the library's videos."""

    kind: Literal["train"]
    name: Annotated[Name, Field(description="Of the classifier; one of this name is replaced.")]
    label: Annotated[str, Field(description="Column of the labels.")] = "label"
    head: str = "linear"
    pool: str = "mean"


class Classify(Strict):
    """Classify videos of the library."""

    kind: Literal["classify"]
    video_ids: Names
    head: Annotated[Name | None, Field(description="A trained one; null: that of --head.")] = None


class SpanLabel(Strict):
    """A label of a span of a video; null takes it away."""

    video_id: Annotated[str, Field(max_length=4096)]
    start_s: Annotated[float, Field(ge=0, le=1e7)]
    end_s: Annotated[float, Field(gt=0, le=1e7)]
    label: Annotated[str | None, Field(max_length=1000)]


class LabelChanges(Strict):
    """Labels to set, of videos and of spans; null takes one away."""

    changes: Annotated[
        dict[str, Annotated[str, Field(max_length=1000)] | None],
        Field(default_factory=dict, max_length=10_000, description="By video.", examples=[{"a.mp4": "pour"}]),
    ]
    spans: Annotated[
        list[SpanLabel],
        Field(
            default_factory=list,
            max_length=10_000,
            examples=[[{"video_id": "a.mp4", "start_s": 2, "end_s": 5, "label": "pour"}]],
        ),
    ]
    column: Annotated[str, Field(min_length=1, max_length=100)] = "label"


EXAMPLES: dict[str, Any] = {
    "add": {"summary": "Add what is new in a folder", "value": {"kind": "add", "folder": "monday"}},
    "remove": {"summary": "Remove a video", "value": {"kind": "remove", "video_ids": ["a.mp4"]}},
    "train": {"summary": "Train a classifier", "value": {"kind": "train", "name": "steps"}},
    "classify": {
        "summary": "Classify a video",
        "value": {"kind": "classify", "video_ids": ["a.mp4"], "head": "steps"},
    },
}
Wanted = Annotated[Add | Remove | Train | Classify, Field(discriminator="kind")]


@router.post("/jobs", status_code=202)
async def begin_job(
    wanted: Annotated[Wanted, Body(openapi_examples=EXAMPLES)], service: ServiceDep
) -> Response:
    """Add a job; jobs are done one after another, in a process of their own."""
    return await service.searching.run(added, service, wanted)


@router.get("/jobs")
async def list_jobs(service: ServiceDep, limit: Annotated[int, Query(ge=1, le=1000)] = 50) -> Response:
    """List the jobs that were added last, the last one first."""
    jobs = await service.searching.run(service.jobs.last, limit)
    return json_response({"jobs": [job.as_json() for job in jobs]})


@router.get("/jobs/{job_id}")
async def show_job(job_id: str, service: ServiceDep) -> Response:
    """Show a job."""
    return json_response((await service.searching.run(found, service, job_id)).as_json())


@router.post("/jobs/{job_id}/cancel")
async def cancel_job(job_id: str, service: ServiceDep) -> Response:
    """Ask for the end of a job; what it has committed stays."""
    await service.searching.run(found, service, job_id)
    await service.searching.run(service.jobs.cancel, job_id)
    service.runner.ring()
    return json_response((await service.searching.run(found, service, job_id)).as_json())


@router.get("/labels")
async def list_labels(service: ServiceDep) -> Response:
    """Labels of videos by column, and those of spans."""
    return await service.searching.run(listed_labels, service)


@router.post("/labels", status_code=204)
async def set_labels(body: LabelChanges, service: ServiceDep) -> Response:
    """Set labels of videos and spans, all of them or none, in the CSV beside the library."""
    await service.writing.run(change_labels, service, body)
    return Response(status_code=204)


@router.get("/heads")
async def list_heads(service: ServiceDep) -> Response:
    """Classifiers that jobs trained, and that of --head as null: their tasks with classes and scores."""
    return await service.searching.run(heads, service)


@router.get("/events", response_class=Response)
async def events(request: Request, service: ServiceDep) -> StreamingResponse:
    """Server-sent events: `job` and `run` whenever one changes, `alert` and others of a watch."""
    if service.streams >= MOST_STREAMS:
        raise BusyError(f"{service.streams} clients listen to events already; try again later")
    known = request.headers.get("last-event-id", "")
    return StreamingResponse(told(request, service, known), media_type="text/event-stream")


def added(service: Service, wanted: Any) -> Response:
    """Add a job."""
    if wanted.kind == "add" and service.settings.videos is None:
        raise ConfigError(NO_FOLDER)
    waiting = service.jobs.waiting()
    if waiting >= MOST_WAITING:
        raise BusyError(f"{waiting} jobs are waiting already; try again later")
    values = wanted.model_dump(exclude={"kind"})
    job = service.jobs.add(wanted.kind, values)
    service.runner.ring()
    return json_response(job.as_json(), 202)


def found(service: Service, job_id: str) -> Job:
    """A job.

    Raises:
        MissingError: there is none.
    """
    job = service.jobs.get(job_id)
    if job is None:
        raise MissingError("there is no such job")
    return job


def labels_of(service: Service) -> Labels:
    """The labels of the library."""
    settings = service.settings
    return Labels(labels_path(settings.library.absolute()), service.library.now().library, settings.videos)


def listed_labels(service: Service) -> Response:
    """Labels of videos and of spans."""
    labels, served = labels_of(service), service.library.now()
    spans = [{"media_id": served.media_id(span.video_id), **span._asdict()} for span in labels.of_spans()]
    return json_response({"labels": labels.by_video(), "spans": spans})


def change_labels(service: Service, body: LabelChanges) -> None:
    """Write labels."""
    spans = {(span.video_id, span.start_s, span.end_s): span.label for span in body.spans}
    labels_of(service).set(body.changes, body.column, spans)


def heads(service: Service) -> Response:
    """All classifiers."""
    from sora_video.downstream.classify.store import load_classifier

    folder = service.settings.state / "heads"
    places: dict[str | None, Any] = {None: service.settings.head} if service.settings.head else {}
    if folder.is_dir():
        places |= {path.name: path for path in sorted(folder.iterdir()) if not path.name.startswith(".")}
    values = []
    for name, path in places.items():
        try:
            about = load_classifier(path).as_json()
        except (SoraError, OSError):
            continue  # a damaged one hides no other; a job that names it says what is wrong
        values.append({"name": name, **{key: about[key] for key in ("fingerprint", "tasks")}})
    return json_response({"heads": plain(values)})


async def told(request: Request, service: Service, known: str) -> AsyncIterator[str]:
    """Events as they happen; those since the last one that a client knows first."""
    service.streams += 1
    try:
        change = int(known) if known.isdecimal() else -1
        alerts, said_s = service.alerts.end(), time.monotonic()
        stamps = await service.telling.run(service.runs.stamps)
        if change < 0:
            change = max(
                (job.change for job in await service.telling.run(service.jobs.last, 1000)), default=0
            )
        yield ": listening\n\n"
        while not service.is_stopping() and not await request.is_disconnected():
            lines = []
            for job in await service.telling.run(service.jobs.changed_since, change):
                change = job.change
                lines.append(f"id: {change}\nevent: job\ndata: {json.dumps(job.as_json())}\n\n")
            alerts, seen = await service.telling.run(service.alerts.since, alerts)
            lines += [f"event: {event['event']}\ndata: {json.dumps(event)}\n\n" for event in seen]
            before, stamps = stamps, await service.telling.run(service.runs.stamps)
            for run_id in (each for each, stamp in stamps.items() if before.get(each) != stamp):
                lines.append(f"event: run\ndata: {json.dumps({'run_id': run_id})}\n\n")
            if not lines and time.monotonic() - said_s > ALIVE_S:
                lines = [": still here\n\n"]
            if lines:
                said_s = time.monotonic()
            for line in lines:
                yield line
            await asyncio.sleep(LOOK_S)
    finally:
        service.streams -= 1
