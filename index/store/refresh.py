"""When the whitening of a library is fitted: at a commit, and again when the library has grown or shrunk."""

import hashlib
from dataclasses import replace

from .files import store
from .manifest import Manifest, StoredWhitening
from .snapshot import Snapshot
from .whitening import to_bytes

__all__ = ["GROWTH", "with_whitening"]

GROWTH = 0.25
"""Change of the number of visible slices, as a part of those at the last fit, that calls for another."""


def with_whitening(snapshot: Snapshot) -> Manifest:
    """The manifest to commit: that of a snapshot, with a whitening that fits it.

    Args:
        snapshot: what is about to be committed.

    Returns:
        Its manifest, as it is where the whitening is recent enough.

    Raises:
        StorageError: the disk refused the write.
    """
    manifest, stored = snapshot.manifest, snapshot.manifest.whitening
    slices = manifest.visible
    if slices == 0:
        return replace(manifest, whitening=None)
    names = tuple(aspect.name for aspect in manifest.aspects)
    if stored and stored.aspects == names and abs(slices - stored.slices) <= GROWTH * stored.slices:
        return manifest
    data = to_bytes(snapshot.whitenings.fit(None, *manifest.aspects))
    name = f"whitening/{hashlib.sha256(data).hexdigest()[:16]}.safetensors"  # another content, another name
    file = store(snapshot.folder, name, data)
    return replace(manifest, whitening=StoredWhitening(file=file, slices=slices, aspects=names))
