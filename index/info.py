"""A library in numbers."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from operator import attrgetter
from typing import Any

from .store.attributes import Attributes
from .store.filters import Where
from .store.kinds import make_kind
from .store.segment import Segment
from .store.snapshot import Held, Snapshot
from .store.table import Entry

__all__ = ["LibraryInfo", "StoreInfo", "VideoInfo", "info_of", "list_videos"]


@dataclass(frozen=True, kw_only=True)
class StoreInfo:
    """A library in numbers, wherever it is."""

    videos: int
    slices: int
    """Visible slices."""
    dim: int
    precision: str
    index_type: str
    fingerprint: str
    model: str | None
    """Spec of the encoder; None: unknown."""
    aspects: tuple[str, ...]
    """What embeddings can be compared by alone."""


@dataclass(frozen=True, kw_only=True)
class LibraryInfo(StoreInfo):
    """A library's folder in numbers."""

    segments: int
    removed_videos: int
    """Videos that are hidden but still on the disk, also earlier contents of those that were replaced."""
    removed_slices: int
    """Slices of these."""
    ignored_videos: int
    """Videos that are not to come back."""
    bytes: int
    """Size of the segments on the disk."""
    bytes_per_slice: float
    """Bytes for each visible slice; 0 without slices."""
    indexes: tuple[dict[str, Any], ...]
    """The approximate indexes: segment, kind, parameters and measured recall of each."""


@dataclass(frozen=True, kw_only=True)
class VideoInfo:
    """A video of a library."""

    video_id: str
    slices: int
    source: str | None
    """Folder that it was added from; None: unknown."""
    path: str | None
    """Its file below that folder, which may have moved since."""
    attributes: Attributes


def list_videos(snapshot: Snapshot, where: Where | None = None) -> list[VideoInfo]:
    """The videos that can be searched, by name.

    Args:
        snapshot: the opened library.
        where: only those of which a slice passes this filter; None: all.

    Raises:
        LibraryError: the file of edited attributes is damaged, or the filter compares what has no order.
    """
    if where is not None:
        snapshot.check_order(where)
    edited = snapshot.edits()
    videos = [
        video_info(snapshot.held(segment_no, entry, edited))
        for segment_no, segment in enumerate(snapshot.segments)
        if segment.searchable
        for entry in passing(snapshot, segment, where)
    ]
    return sorted(videos, key=attrgetter("video_id"))


def passing(snapshot: Snapshot, segment: Segment, where: Where | None) -> Iterator[Entry]:
    """The visible videos of a segment of which a slice passes a filter."""
    rows = snapshot.visible(segment, (), where)
    for entry in segment.table.entries():
        if rows is None or rows[entry.first_row : entry.first_row + entry.rows].any():
            yield entry


def video_info(held: Held) -> VideoInfo:
    """A video that is held, to show."""
    name, source = held.entry.video_id, held.source
    return VideoInfo(
        video_id=name,
        slices=held.entry.rows,
        source=source and source.root,
        path=source and str(source.path(name)),
        attributes=held.attributes,
    )


def info_of(snapshot: Snapshot, model: str | None) -> LibraryInfo:
    """Count what a library holds; what is damaged is not counted.

    Args:
        snapshot: the opened library.
        model: spec of its encoder.
    """
    segments = snapshot.searchable
    rows = sum(segment.record.rows for segment in segments)
    slices = sum(segment.record.visible for segment in segments)
    size = sum(file.size for segment in segments for file in segment.record.files)
    kinds = {segment.kind.name for segment in segments} or {make_kind().name}
    return LibraryInfo(
        videos=sum(segment.table.videos - len(segment.record.removed) for segment in segments),
        slices=slices,
        segments=len(segments),
        removed_videos=sum(len(segment.record.removed) for segment in segments),
        removed_slices=rows - slices,
        ignored_videos=len(snapshot.manifest.ignored),
        bytes=size,
        bytes_per_slice=size / slices if slices else 0.0,
        dim=snapshot.manifest.dim,
        precision=snapshot.manifest.precision,
        index_type=" and ".join(sorted(kinds)),
        fingerprint=snapshot.manifest.fingerprint,
        model=model,
        aspects=tuple(aspect.name for aspect in snapshot.manifest.aspects),
        indexes=tuple(
            {"segment": record.name, **asdict(record.index)}
            for record in (segment.record for segment in segments)
            if record.index
        ),
    )
