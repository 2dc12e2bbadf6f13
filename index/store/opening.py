"""Opens the files that the manifest of a library names."""

import json
from collections.abc import Mapping

from .attributes import Attributes, attributes_from
from .files import Checks, Damage, DamagedError, access_errors
from .manifest import Manifest, SegmentRecord
from .segment import Segment
from .snapshot import Snapshot

__all__ = ["open_snapshot"]


def open_snapshot(checks: Checks, manifest: Manifest, before: Snapshot | None = None) -> Snapshot:
    """Open the files that a manifest names.

    Args:
        checks: of the library.
        manifest: of the library.
        before: an earlier snapshot, whose segments are used again where they are the same.
    """
    opened = {segment.record.files: segment for segment in before.segments} if before else {}
    segments = tuple(
        reopen(opened.get(record.files), checks, record, manifest.dim) for record in manifest.segments
    )
    damage = [item for segment in segments for item in segment.damage]
    edited: Mapping[str, Attributes] | None = {}
    if manifest.attributes:
        try:
            path = checks.path(manifest.attributes)
            with access_errors(path):
                edited = edits_from(path.read_bytes())
        except DamagedError as error:
            edited = None
            damage.append(Damage(None, manifest.attributes.name, str(error)))
    checks.save({file.name for file in manifest.files})
    return Snapshot(checks=checks, manifest=manifest, segments=segments, edited=edited, damage=tuple(damage))


def reopen(segment: Segment | None, checks: Checks, record: SegmentRecord, dim: int) -> Segment:
    """A segment under a record, opened already or not."""
    return Segment(checks, record, dim) if segment is None or segment.damage else segment.under(record)


def edits_from(data: bytes) -> dict[str, Attributes]:
    """Edited attributes by video, from their file.

    Raises:
        DamagedError: the file holds something else.
    """
    try:
        edited = json.loads(data)
        for attributes in edited.values():
            attributes_from(json.dumps(attributes))
    except (ValueError, RecursionError, AttributeError) as error:
        raise DamagedError(f"is damaged: it holds no attributes by video: {error}") from error
    return dict(edited)
