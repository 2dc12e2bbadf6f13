"""Routes of videos, their slices and their attributes."""

from typing import Annotated

from fastapi import APIRouter, Path, Query, Response

from sora_video.base.errors import LibraryError
from sora_video.base.plain import plain
from sora_video.index.duplicates import AGREE, COVER, THRESHOLD, Group
from sora_video.index.info import VideoInfo
from sora_video.index.store.filters import Where

from ..refusals import MissingError
from ..served import Served, counted
from ..service import Service, ServiceDep
from ..wheres import where_of
from .answers import json_response
from .media import readable
from .values import Changes, Duplicates, Film, PlacedSlice, SliceList, Video, VideoList

__all__ = ["WhereQuery", "filtered", "router"]

router = APIRouter(prefix="/api/v1", tags=["videos"])
MediaId = Annotated[str, Path(description="An opaque id, as hits and lists have it.", max_length=64)]
WhereQuery = Annotated[
    list[str],
    Query(
        description="Filters as of `sora search --where`, and within=ID:X,Y,X,Y,X,Y on the map.",
        examples=[["camera>2"]],
        max_length=100,
    ),
]


@router.get("/videos", response_model=VideoList)
async def list_videos(
    service: ServiceDep,
    where: WhereQuery = [],  # noqa: B006 - FastAPI copies it
    offset: Annotated[int, Query(ge=0)] = 0,
    limit: Annotated[int, Query(ge=0, le=1000)] = 100,
) -> Response:
    """List videos by name, page by page, and count the values of their attributes."""
    return await service.searching.run(listed, service, where, offset, limit)


@router.get("/videos/{media_id}", response_model=Video)
async def show_video(media_id: MediaId, service: ServiceDep) -> Response:
    """Show one video."""
    return await service.searching.run(shown, service, media_id)


@router.get("/videos/{media_id}/film", response_model=Film)
async def show_film(media_id: MediaId, service: ServiceDep) -> Response:
    """Show how long the file of a video is, and how many frames a second it has."""
    return await service.making.run(film_of, service, media_id)


@router.get("/videos/{media_id}/slices", response_model=SliceList)
async def list_slices(media_id: MediaId, service: ServiceDep) -> Response:
    """List the slices of a video."""
    return await service.searching.run(slices_of, service, media_id)


@router.get("/slices/{slice_id}", response_model=PlacedSlice)
async def show_slice(slice_id: Annotated[int, Path(ge=0)], service: ServiceDep) -> Response:
    """Show one slice, and its video."""
    return await service.searching.run(placed, service, slice_id)


@router.get("/attributes", response_model=dict[str, str | bool | int | float])
async def show_attributes(
    service: ServiceDep, video_id: Annotated[str, Query(description="Name of a video.")]
) -> Response:
    """Show the attributes of a video."""
    return await service.searching.run(attributes_of, service, video_id)


@router.post("/attributes", status_code=204)
async def set_attributes(body: Changes, service: ServiceDep) -> Response:
    """Set attributes of videos, all of them or none."""
    await service.writing.run(change_attributes, service, body)
    return Response(status_code=204)


@router.get("/duplicates", response_model=Duplicates)
async def list_duplicates(
    service: ServiceDep,
    threshold: Annotated[float, Query(ge=-1, le=1)] = THRESHOLD,
    cover: Annotated[float, Query(gt=0, le=1)] = COVER,
    normalize: bool = True,
    by: str | None = None,
    agree: bool = AGREE,
) -> Response:
    """Find groups of near-duplicate videos; see `sora duplicates`."""
    served, content = await service.searching.run(lambda: with_content(service.library.now()))
    groups = await service.duplicates.groups(
        served, content, threshold=threshold, cover=cover, normalize=normalize, by=by, agree=agree
    )
    return await service.searching.run(duplicates_in, served, groups)


def with_content(served: Served) -> tuple[Served, str]:
    """A library, and what it holds."""
    return served, served.content


def listed(service: Service, where: list[str], offset: int, limit: int) -> Response:
    """A page of the list."""
    served = service.library.now()
    asked = where_of(where, service.maps)
    videos = filtered(served, asked)
    return json_response(
        {
            "total": len(videos),
            "offset": offset,
            "videos": values_of(served, videos[offset : offset + limit]),
            **(served.counted if asked is None else counted(videos)),
        }
    )


def filtered(served: Served, where: Where | None) -> list[VideoInfo]:
    """The videos that pass a filter, by name.

    Args:
        served: the library.
        where: the filter; None: all pass.
    """
    return served.listing if where is None else served.library.list_videos(where)


def values_of(served: Served, videos: list[VideoInfo]) -> list[dict[str, object]]:
    """Videos as answers have them: their folders are not told."""
    durations = served.library.durations([video.video_id for video in videos])
    return [
        {
            "media_id": served.media_id(video.video_id),
            "video_id": video.video_id,
            "slices": video.slices,
            "duration_s": durations[video.video_id],
            "attributes": video.attributes,
        }
        for video in videos
    ]


def shown(service: Service, media_id: str) -> Response:
    """One video."""
    served = service.library.now()
    name = served.name_of(media_id)
    count = len(served.library.slices(name).slice_id)
    video = VideoInfo(
        video_id=name, slices=count, source=None, path=None, attributes=served.library.attributes(name)
    )
    return json_response(values_of(served, [video])[0])


def film_of(service: Service, media_id: str) -> Response:
    """The file of a video in numbers."""
    served = service.library.now()
    path = service.media.file(served.library, served.name_of(media_id))
    with readable():
        return json_response(service.media.film(served.library, path))


def slices_of(service: Service, media_id: str) -> Response:
    """The slices of a video."""
    served = service.library.now()
    slices = served.library.slices(served.name_of(media_id))
    rows = zip(*(column.tolist() for column in slices), strict=True)
    return json_response({"slices": [dict(zip(slices._fields, row, strict=True)) for row in rows]})


def placed(service: Service, slice_id: int) -> Response:
    """One slice with its video."""
    served = service.library.now()
    try:
        row = served.library.slice(slice_id)
    except LibraryError as error:
        raise MissingError(str(error)) from error
    name = str(row.video_id[0])
    slices = served.library.slices(name)
    at = slices.slice_id.tolist().index(slice_id)
    values = {key: column[at] for key, column in slices._asdict().items()}
    return json_response({"media_id": served.media_id(name), "video_id": name, **values})


def attributes_of(service: Service, video_id: str) -> Response:
    """The attributes of a video."""
    served = service.library.now()
    if not served.library.contents([video_id]):
        raise MissingError(f"video {video_id}: the library has no such video; correct the name")
    return json_response(served.library.attributes(video_id))


def change_attributes(service: Service, body: Changes) -> None:
    """Commit changed attributes."""
    service.library.now().library.reopened().set_attributes(body.changes)


def duplicates_in(served: Served, groups: list[Group]) -> Response:
    """Groups of duplicates, with the ids of their videos."""
    return json_response(
        {
            "groups": [
                {**plain(group), "media_ids": {name: served.media_id(name) for name in group.videos}}
                for group in groups
            ]
        }
    )
