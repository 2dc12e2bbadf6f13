"""A library in numbers."""

from dataclasses import asdict, dataclass
from typing import Any

from .store.kinds import make_kind
from .store.snapshot import Snapshot

__all__ = ["LibraryInfo", "info_of"]


@dataclass(frozen=True, kw_only=True)
class LibraryInfo:
    """A library in numbers."""

    videos: int
    slices: int
    """Visible slices."""
    segments: int
    removed_slices: int
    """Slices that are hidden but still on the disk."""
    bytes: int
    """Size of the segments on the disk."""
    bytes_per_slice: float
    """Bytes for each visible slice; 0 without slices."""
    dim: int
    precision: str
    index_type: str
    fingerprint: str
    indexes: tuple[dict[str, Any], ...]
    """The approximate indexes: segment, kind, parameters and measured recall of each."""


def info_of(snapshot: Snapshot) -> LibraryInfo:
    """Count what a library holds; what is damaged is not counted.

    Args:
        snapshot: the opened library.
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
        removed_slices=rows - slices,
        bytes=size,
        bytes_per_slice=size / slices if slices else 0.0,
        dim=snapshot.manifest.dim,
        precision=snapshot.manifest.precision,
        index_type=" and ".join(sorted(kinds)),
        fingerprint=snapshot.manifest.fingerprint,
        indexes=tuple(
            {"segment": record.name, **asdict(record.index)}
            for record in (segment.record for segment in segments)
            if record.index
        ),
    )
