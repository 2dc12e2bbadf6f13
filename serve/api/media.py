"""Routes of media: by opaque ids alone."""

import asyncio
import pathlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

from fastapi import APIRouter, Path, Query, Request, Response
from fastapi.responses import FileResponse
from starlette.staticfiles import NotModifiedResponse

from sora_video.base.errors import ConfigError, VideoError

from ..refusals import BusyError, MissingError
from ..service import Service, ServiceDep

__all__ = ["readable", "router", "sent"]

router = APIRouter(tags=["media"])
WAIT_S = 20.0
"""Most seconds that an answer waits for a preview, which goes on being made."""
TYPES = {".webm": "video/webm", ".mp4": "video/mp4", ".jpg": "image/jpeg", ".png": "image/png"}
CUT_S = 60.0
"""Most seconds of a film that is cut."""
CACHING = "private, max-age=0, must-revalidate"
Seconds = Annotated[float, Query(ge=0, le=1e7, allow_inf_nan=False)]


@router.head("/media/{media_id}", include_in_schema=False)
@router.get("/media/{media_id}", response_class=Response)
async def play(media_id: str, request: Request, service: ServiceDep) -> Response:
    """A video as browsers play it: its file, or a small preview; with byte ranges."""
    path, is_played = await service.making.run(source_of, service, media_id)
    return sent(path if is_played else await preview_of(service, path), request)


@router.get("/media/{media_id}/poster.jpg", response_class=Response)
async def poster(media_id: str, request: Request, service: ServiceDep, at_s: Seconds = 0.0) -> Response:
    """A picture of a video, at most 360 pixels high."""
    return sent(await service.making.run(frames_of, service, media_id, (at_s, at_s), 1, 360), request)


@router.get("/media/{media_id}/strip.jpg", response_class=Response)
async def strip(
    media_id: str,
    request: Request,
    service: ServiceDep,
    start_s: Seconds,
    end_s: Seconds,
    count: Annotated[int, Query(ge=1, le=24)] = 6,
    height: Annotated[int, Query(ge=16, le=360)] = 72,
) -> Response:
    """Frames of a span side by side."""
    return sent(
        await service.making.run(frames_of, service, media_id, (start_s, end_s), count, height), request
    )


@router.get("/media/{media_id}/cut.mp4", response_class=Response)
async def cut(
    media_id: str, request: Request, service: ServiceDep, start_s: Seconds, end_s: Seconds
) -> Response:
    """A span of at most a minute as a film of its own: H.264, at most 480 pixels high, with its sound."""
    if not 0 < end_s - start_s <= CUT_S:
        raise ConfigError(f"end_s={end_s:g}: must be after start_s={start_s:g}, by at most {CUT_S:g} s")
    path, name = await service.cutting.run(cut_of, service, media_id, (start_s, end_s))
    return sent(path, request, name)


@router.get("/media/events/{name}", response_class=Response)
async def event_media(
    name: Annotated[str, Path(pattern=r"^event-[0-9]{4,9}\.(mp4|jpg)$")],
    request: Request,
    service: ServiceDep,
) -> Response:
    """A clip or a picture of an alert, as its event names it."""
    folder = service.settings.events
    if folder is None or not (folder / name).is_file() or (folder / name).is_symlink():
        raise MissingError("there is no such clip or picture")
    return sent(folder / name, request)


def source_of(service: Service, media_id: str) -> tuple[pathlib.Path, bool]:
    """The file of a video, and whether browsers play it.

    Raises:
        MissingError: there is no such video, or no file of it.
    """
    served = service.library.now()
    path = service.media.file(served.library, served.name_of(media_id))
    with readable():
        return path, service.media.obstacle(path) is None


async def preview_of(service: Service, path: pathlib.Path) -> pathlib.Path:
    """The preview of a file; of several requests at a time, one has it made.

    Raises:
        BusyError: it is still being made.
        MissingError: the file cannot be decoded.
    """
    if path not in service.previews:
        made = asyncio.create_task(service.copying.run(service.media.preview, path))
        made.add_done_callback(lambda _: service.previews.pop(path, None))
        service.previews[path] = made
    made = service.previews[path]
    await asyncio.wait({made}, timeout=WAIT_S)
    if not made.done():
        raise BusyError("a preview of this video is being made; try again later")
    with readable():
        return made.result()


@contextmanager
def readable() -> Iterator[None]:
    """Say that a file is not there if it cannot be read, or has gone since it was looked for.

    Raises:
        MissingError: the block raised an error of the file.
    """
    try:
        yield
    except VideoError as error:
        raise MissingError(f"the file of this video cannot be read: {error}") from error
    except OSError as error:
        raise MissingError(f"the file of this video cannot be read: {error.strerror}") from error


def frames_of(
    service: Service, media_id: str, span: tuple[float, float], count: int, height: int
) -> pathlib.Path:
    """Frames of a span of a video as a JPEG file."""
    served = service.library.now()
    path = service.media.file(served.library, served.name_of(media_id))
    with readable():
        return service.media.frames(served.library, path, span, count, height)


def cut_of(service: Service, media_id: str, span: tuple[float, float]) -> tuple[pathlib.Path, str]:
    """A span of a video as a film, and the name that it is saved under."""
    served = service.library.now()
    video_id = served.name_of(media_id)
    path = service.media.file(served.library, video_id)
    with readable():
        made = service.media.cut(served.library, path, span)
    return made, f"{pathlib.PurePosixPath(video_id).stem} {span[0]:.1f}-{span[1]:.1f}.mp4"


def sent(path: pathlib.Path, request: Request, name: str | None = None) -> Response:
    """A file with its type and its tag; not again to those who have it.

    Args:
        path: of the file.
        request: that asks for it.
        name: that it is to be saved under; None: it is to be shown.

    Raises:
        MissingError: it has gone since.
    """
    with readable():
        status = path.stat()
    media_type = TYPES.get(path.suffix.lower(), "video/mp4")
    answer = FileResponse(
        path,
        media_type=media_type,
        headers={"Cache-Control": CACHING},
        stat_result=status,
        filename=name,
    )
    known = [tag.strip().removeprefix("W/") for tag in request.headers.get("if-none-match", "").split(",")]
    return NotModifiedResponse(answer.headers) if answer.headers["etag"] in known else answer
