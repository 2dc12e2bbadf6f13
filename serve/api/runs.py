"""Routes of runs."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import BaseModel, Field

from ..service import Service, ServiceDep
from .answers import json_response
from .media import sent

__all__ = ["Report", "RunList", "router"]

router = APIRouter(tags=["runs"])
RunId = Annotated[str, Path(description="An opaque id, as the list of runs has it.", max_length=64)]


class Unreadable(BaseModel):
    """A run whose config cannot be read."""

    run_id: str
    name: str
    error: Annotated[str, Field(description="Why it cannot be read.")]


class Summary(BaseModel):
    """A run in a few numbers."""

    run_id: Annotated[str, Field(description="For /api/v1/runs/{id} and /media/runs/{id}.")]
    name: Annotated[str, Field(description="Its folder below that of --runs.")]
    finished: bool
    changed_s: Annotated[float | None, Field(description="When its log was written, since 1970.")]
    step: int
    epoch: float
    epochs: Annotated[int | None, Field(description="That it is planned for.")]
    loss: float | None
    pictures: list[str]
    error: None


class RunList(BaseModel):
    """Runs, the one that was written last first."""

    runs: list[Summary | Unreadable]


class Report(Summary):
    """All that a run folder tells of a run."""

    settings: Annotated[dict[str, Any], Field(description="By dotted name.")]
    metrics: Annotated[dict[str, Any], Field(description="Of metrics.json; empty until it is finished.")]
    probe: Annotated[list[dict[str, Any]], Field(description="The table of the last probe.")]
    events: list[dict[str, Any]]
    log: Annotated[list[dict[str, float]], Field(description="Of log.jsonl, by step.")]


@router.get("/api/v1/runs", response_model=RunList)
async def list_runs(service: ServiceDep) -> Response:
    """List the runs of the folder of --runs."""
    return await service.searching.run(lambda: json_response({"runs": service.runs.list()}))


@router.get("/api/v1/runs/{run_id}", response_model=Report)
async def show_run(
    run_id: RunId,
    service: ServiceDep,
    points: Annotated[
        int, Query(ge=1, le=10_000, description="Most lines of the log; means where there are more.")
    ] = 500,
) -> Response:
    """Show a run, finished or training: its settings, metrics, last probe, events and log."""
    return await service.searching.run(report, service, run_id, points)


@router.get("/media/runs/{run_id}/{picture}.png", response_class=Response)
async def run_picture(
    run_id: RunId, picture: Literal["views", "map"], request: Request, service: ServiceDep
) -> Response:
    """Show what the network saw of its first videos, or the map of the monitor's videos."""
    return sent(await service.making.run(service.runs.picture, run_id, picture), request)


def report(service: Service, run_id: str, points: int) -> Response:
    """A run."""
    return json_response(service.runs.report(run_id, points))
