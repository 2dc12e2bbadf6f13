"""Repair: what can be rebuilt is, and what cannot is deleted only on request."""

from dataclasses import dataclass, replace

from .store.files import Damage
from .store.manifest import Manifest
from .store.snapshot import Snapshot
from .store.update import succeed
from .tune.tune import rebuild

__all__ = ["Repair", "repair"]


@dataclass(frozen=True, kw_only=True)
class Repair:
    """What a repair did."""

    rebuilt: tuple[str, ...]
    """Segments whose approximate index was built again."""
    dropped: tuple[Damage, ...]
    """What was deleted."""
    lost: tuple[str, ...]
    """Videos whose slices cannot be read, as far as tables name them; gone with what was deleted."""
    left: tuple[Damage, ...]
    """Damage that is still there."""


def repair(snapshot: Snapshot, drop: bool) -> tuple[Manifest, Repair]:
    """Rebuild, or delete, what is damaged.

    Args:
        snapshot: the library as it is.
        drop: delete segments whose vectors or table are damaged, and edited attributes that are.

    Returns:
        The manifest to commit, and what it changes.

    Raises:
        StorageError: the disk refused the write.
    """
    lost = [segment for segment in snapshot.segments if not segment.searchable]
    kept = [segment for segment in snapshot.segments if segment.searchable or not drop]
    broken = [segment for segment in kept if segment.searchable and segment.damage]
    records = [rebuild(snapshot, segment) if segment in broken else segment.record for segment in kept]
    edited = {} if snapshot.edited is None and drop else snapshot.edited
    if edited and lost and drop:
        visible = {name for segment in kept for name in segment.find(edited)}
        edited = {name: value for name, value in edited.items() if name in visible}
    fixed = {damage for segment in broken for damage in segment.damage}
    unfixed = tuple(damage for damage in snapshot.damage if damage not in fixed)
    manifest = succeed(snapshot, records, edited) if drop or broken else snapshot.manifest
    refitted = snapshot.manifest.whitening is not None and snapshot.stored_whitening() is None
    if refitted:
        manifest = replace(manifest, whitening=None)  # so that the commit fits one
    return manifest, Repair(
        rebuilt=(*(segment.record.name for segment in broken), *["whitening"] * refitted),
        dropped=unfixed if drop else (),
        lost=tuple(sorted(name for segment in lost for name in segment.visible_videos())),
        left=() if drop else unfixed,
    )
