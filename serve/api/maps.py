"""The route of the library's map."""

from typing import Annotated

from fastapi import APIRouter, Query, Response

from ..refusals import AwayError
from ..served import Served
from ..service import Service, ServiceDep
from ..wheres import where_of
from .answers import json_response
from .values import MapAnswer
from .videos import WhereQuery, filtered

__all__ = ["router"]

router = APIRouter(prefix="/api/v1", tags=["videos"])


@router.get("/map", response_model=MapAnswer)
async def show_map(
    service: ServiceDep,
    where: WhereQuery = [],  # noqa: B006 - FastAPI copies it
    attribute: Annotated[str | None, Query(description="Whose values to give.", max_length=1000)] = None,
) -> Response:
    """Show where videos lie on the map of the library; 202 and no map while the first one is being drawn."""
    return await service.searching.run(mapped, service, where, attribute)


def mapped(service: Service, where: list[str], attribute: str | None) -> Response:
    """The places of videos; those that came since the map was drawn are counted alone."""
    served = service.library.now()
    drawn = service.maps.now()
    if drawn is None or drawn.content != served.content:
        failed = ask_for_map(service, served)
        if drawn is None and failed is not None:
            raise failed
    if drawn is None:
        return json_response({"map": None, "missing": len(served.listing), "videos": []}, 202)
    places = dict(zip(drawn.video_ids, drawn.places.tolist(), strict=True))
    videos = filtered(served, where_of(where, service.maps))
    shown = [
        {
            "media_id": served.media_id(video.video_id),
            "video_id": video.video_id,
            "x": places[video.video_id][0],
            "y": places[video.video_id][1],
            "value": video.attributes.get(attribute or ""),
        }
        for video in videos
        if video.video_id in places
    ]
    return json_response({"map": drawn.map_id, "missing": len(videos) - len(shown), "videos": shown})


def ask_for_map(service: Service, served: Served) -> AwayError | None:
    """Have the map drawn, unless a job does it already; why not, where one tried in vain before."""
    last = service.jobs.last_of("map")
    if last is not None and last.state in ("waiting", "running"):
        return None
    if last is not None and last.state == "failed" and last.wanted["content"] == served.content:
        return AwayError(f"the map of the library cannot be drawn: {last.error}")
    service.jobs.add("map", {"content": served.content})
    service.runner.ring()
    return None
