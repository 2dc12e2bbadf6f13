"""What requests and answers hold; hits and groups have the fields of docs/reference/json.md."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from sora_video.index.query import AGREE

__all__ = [
    "Asked",
    "Changes",
    "Duplicates",
    "EncoderValue",
    "Facet",
    "Film",
    "Hits",
    "MapAnswer",
    "PlacedSlice",
    "Problem",
    "SearchRequest",
    "Searched",
    "SliceList",
    "Video",
    "VideoList",
]

MOST_TOP = 1000
AttributeValue = str | bool | int | float


class Strict(BaseModel):
    """Refuses fields that it does not know."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


class Problem(BaseModel):
    """Why a request was refused."""

    error: Annotated[str, Field(examples=["top=0: must be at least 1"])]


class Searched(Strict):
    """How to search, whatever is searched for."""

    top: Annotated[int, Field(ge=1, le=MOST_TOP, description="Most videos to find.")] = 10
    exclude: Annotated[
        list[str], Field(max_length=10_000, description="Videos to leave out, by video_id.")
    ] = []
    where: Annotated[
        list[str],
        Field(
            max_length=100,
            description="Filters as of `sora search --where`, and regions of the map, within=ID:X,Y,X,Y,X,Y; "
            "all must hold.",
            examples=[["camera>2", "videos=holiday/*"]],
        ),
    ] = []
    by: Annotated[str | None, Field(description="An aspect to compare by alone; null: all.")] = None
    agree: Annotated[bool, Field(description="Call a hit sure only if it leads by each aspect too.")] = AGREE


class Asked(Strict):
    """A slice of the library, a span of one of its videos, or words; one of these."""

    slice_id: Annotated[
        int | None, Field(ge=0, description="A slice of the library; its own video is left out.")
    ] = None
    video_id: Annotated[str | None, Field(description="A video of the library whose file is there.")] = None
    start_s: Annotated[float | None, Field(ge=0, description="Start of the span of video_id in seconds.")] = (
        None
    )
    end_s: Annotated[float | None, Field(gt=0, description="End of the span of video_id in seconds.")] = None
    text: Annotated[str | None, Field(min_length=1, max_length=10_000, description="Words.")] = None


class SearchRequest(Searched, Asked):
    """A slice of the library, a span of one of its videos, words, vectors, or several; one of these."""

    vectors: Annotated[
        list[list[float]] | None,
        Field(
            min_length=1, max_length=10_000, description="Embeddings by the library's encoder, L2-normalised."
        ),
    ] = None
    several: Annotated[
        list[Asked] | None,
        Field(min_length=1, max_length=100, description="Examples, to find what is like all of them."),
    ] = None


class Moment(BaseModel):
    """A span that is like the query."""

    start_s: float
    end_s: float
    likeness: float


class Aligned(BaseModel):
    """A part of the query and the part of the video that it is."""

    query_start_s: float
    query_end_s: float
    start_s: float
    end_s: float
    likeness: float
    speed: float


class HitValue(BaseModel):
    """A video that was found, with the fields of `sora search --json`."""

    video_id: str
    cosine: float
    start_s: float
    end_s: float
    query_start_s: float
    query_end_s: float
    slice_id: int
    lead: float | None
    leads: dict[str, float | None]
    sure: bool
    moments: list[Moment]
    aligned: list[Aligned]
    media_id: Annotated[str, Field(description="For /media/{id} and /api/v1/videos/{id}.")]
    duration_s: Annotated[float, Field(description="End of the video's last slice.")]


class Hits(BaseModel):
    """The answer to a search, best first."""

    hits: list[HitValue]


class PairValue(BaseModel):
    """Two near-duplicates."""

    query_id: str
    video_id: str
    likeness: float
    cover: float
    spans: list[Aligned]


class GroupValue(BaseModel):
    """Videos of which every two are near-duplicates, with the fields of `sora duplicates --json`."""

    videos: list[str]
    pairs: list[PairValue]
    media_ids: Annotated[dict[str, str], Field(description="Opaque id of each video.")]


class Duplicates(BaseModel):
    """Groups of near-duplicates, the largest first."""

    groups: list[GroupValue]


class Video(BaseModel):
    """A video of the library."""

    media_id: str
    video_id: str
    slices: int
    duration_s: Annotated[float, Field(description="End of the last slice.")]
    attributes: dict[str, AttributeValue]


class Film(BaseModel):
    """The file of a video."""

    duration_s: float
    fps: Annotated[float, Field(description="Mean frames a second.")]


class Facet(BaseModel):
    """How often a value of an attribute occurs."""

    value: AttributeValue
    count: int


class DateBinValue(BaseModel):
    """Videos of a day, a month or a year."""

    start: str
    end: Annotated[str, Field(description="The start of the next one; as filters, NAME>=start and NAME<end.")]
    count: int


class VideoList(BaseModel):
    """A page of the list of videos."""

    total: Annotated[int, Field(description="Videos that pass the filters.")]
    offset: int
    videos: list[Video]
    facets: Annotated[dict[str, list[Facet]], Field(description="Of all that pass: values by attribute.")]
    dates: Annotated[
        dict[str, list[DateBinValue]],
        Field(description="Of all that pass: how many by date, of attributes that hold dates alone."),
    ]


class MapVideo(BaseModel):
    """A video on the map."""

    media_id: str
    video_id: str
    x: Annotated[float, Field(description="From 0 to 1.")]
    y: Annotated[float, Field(description="From 0 to 1.")]
    value: Annotated[AttributeValue | None, Field(description="Of the attribute that was asked for.")]


class MapAnswer(BaseModel):
    """Where videos lie: those that are alike are near each other."""

    map: Annotated[
        str | None,
        Field(
            description="Its id, for the filter within=ID:X,Y,X,Y,X,Y; null while the first is being drawn."
        ),
    ]
    missing: Annotated[
        int, Field(description="Videos that came since it was drawn; a new one is on its way.")
    ]
    videos: list[MapVideo]


class SliceValue(BaseModel):
    """A slice of a video."""

    slice_id: int
    slice_no: int
    start_s: float
    end_s: float
    still: Annotated[bool, Field(description="Whether it shows nothing.")]


class PlacedSlice(SliceValue):
    """A slice, and its video."""

    media_id: str
    video_id: str


class EncoderValue(BaseModel):
    """What the library's encoder can search by."""

    words: Annotated[bool, Field(description="Whether it takes words.")]
    by: Annotated[list[str], Field(description="Aspects that files and spans can be compared by alone.")]


class SliceList(BaseModel):
    """The slices of a video, by time."""

    slices: list[SliceValue]


class Changes(Strict):
    """Attributes to set, by video and name; null takes one away."""

    changes: Annotated[
        dict[str, dict[str, AttributeValue | None]],
        Field(max_length=10_000, examples=[{"kitchen/0001.mp4": {"camera": 3, "place": None}}]),
    ]


REFUSALS: dict[int | str, dict[str, Any]] = {
    status: {"model": Problem, "description": text}
    for status, text in (
        (401, "The token is missing or wrong."),
        (403, "The server is read-only, or another site sent the request."),
        (404, "There is no such thing."),
        (413, "More was sent than is taken."),
        (422, "A value is wrong; the line says which."),
        (429, "Too many requests."),
        (503, "Busy, or the library cannot be read now; try again later."),
    )
}
"""Answers of every route."""
