"""Repair: rebuilds what can be rebuilt, and deletes the rest only on request."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace

from sora_video.base.errors import LibraryError

from .store.attributes import Attributes
from .store.files import Damage
from .store.manifest import Manifest
from .store.segment import Segment
from .store.snapshot import Snapshot
from .store.update import succeed
from .tune.tune import rebuild

__all__ = ["Repair", "repair"]


@dataclass(frozen=True, kw_only=True)
class Repair:
    """Result of a repair."""

    rebuilt: tuple[str, ...]
    """Segments whose approximate index was built again."""
    dropped: tuple[Damage, ...]
    """What was deleted."""
    lost: tuple[str, ...]
    """Videos whose slices cannot be read, as far as tables name them; gone with what was deleted."""
    left: tuple[Damage, ...]
    """Damage that is still there."""


def repair(snapshot: Snapshot, drop: Collection[Damage] = ()) -> tuple[Manifest, Repair]:
    """Rebuild, or delete, what is damaged.

    Args:
        snapshot: the library as it is.
        drop: damage that may be deleted: of segments whose vectors or table are damaged, and of edited
            attributes. Empty: nothing is deleted.

    Returns:
        The manifest to commit, and what it changes.

    Raises:
        LibraryError: damage that is not in ``drop`` would have to be deleted as well.
        StorageError: the disk refused the write.
    """
    broken = [segment for segment in snapshot.searchable if segment.damage]
    fixed = {damage for segment in broken for damage in segment.damage}
    unfixed = tuple(damage for damage in snapshot.damage if damage not in fixed)
    if drop:
        check_named(snapshot, unfixed, drop)
    kept = [segment for segment in snapshot.segments if segment.searchable or not drop]
    records = [rebuild(snapshot, segment) if segment in broken else segment.record for segment in kept]
    manifest = snapshot.manifest
    if drop or broken:
        manifest = succeed(snapshot, records, edits_of(snapshot, kept) if drop else snapshot.edited)
    refitted = manifest.whitening is not None and snapshot.whitenings.stored() is None
    if refitted:
        manifest = replace(manifest, whitening=None)  # so that the commit fits one
    lost = [segment for segment in snapshot.segments if not segment.searchable]
    return manifest, Repair(
        rebuilt=(*(segment.record.name for segment in broken), *["whitening"] * refitted),
        dropped=unfixed if drop else (),
        lost=tuple(sorted(name for segment in lost for name in segment.visible_videos())),
        left=() if drop else unfixed,
    )


def edits_of(snapshot: Snapshot, kept: Iterable[Segment]) -> dict[str, Attributes]:
    """The edited attributes of the videos of some segments; none where they are damaged."""
    edited = snapshot.edited or {}
    visible = {name for segment in kept for name in segment.find(edited)}
    return {name: attributes for name, attributes in edited.items() if name in visible}


def check_named(snapshot: Snapshot, unfixed: Collection[Damage], drop: Collection[Damage]) -> None:
    """Refuse to delete more than was listed.

    Raises:
        LibraryError: there is damage that ``drop`` does not name.
    """
    for damage in unfixed:
        if damage not in drop:
            raise LibraryError(
                f"library {snapshot.folder}: {damage}: was not listed for deletion, so nothing is deleted; "
                "repair again"
            )
