"""Several libraries of one encoder, searched as one: a corpus that was embedded on several machines.

They have one whitening, fitted to a sample of the slices of all, as that of the library is that they would
make if they were merged. So the hits are those of the merged library.
"""

from collections.abc import Sequence
from pathlib import Path

from sora_video.base.errors import LibraryError
from sora_video.pretrain.encoders.spec import absolute_spec

from .library import Library
from .merge import check_alike, shared_videos
from .opened import OpenedLibrary
from .store.files import Checks
from .store.manifest import Manifest
from .store.snapshot import Snapshot

__all__ = ["Libraries"]

IDS = 1 << 40
"""Ids of slices that a library has; those of the second start here."""


class Libraries(OpenedLibrary):
    """Several libraries of one encoder, as they were when they were opened, searched as one.

    Ids of slices are those of their libraries, and 2^40 more for each library before.

    Args:
        libraries: opened ones, two or more; no video is in two of them.

    Raises:
        ConfigError: one is there twice.
        FingerprintError: they are of different encoders.
        LibraryError: several have a video of one name.
    """

    def __init__(self, libraries: Sequence[Library]) -> None:
        snapshots = [library.snapshot for library in libraries]
        check_alike(snapshots)
        for name, numbers in shared_videos(snapshots):
            folders = " and ".join(str(snapshots[number].folder) for number in numbers)
            raise LibraryError(
                f"libraries: {folders} both have a video {name}; remove it from one with "
                "`sora index remove`, or make one library of them with `sora index merge --keep first`"
            )
        path = Path(",".join(str(library.path) for library in libraries))
        super().__init__(path, join(path, snapshots))


def join(path: Path, snapshots: Sequence[Snapshot]) -> Snapshot:
    """Several opened libraries as one, named by a path."""
    manifests = [snapshot.manifest for snapshot in snapshots]
    specs = [
        absolute_spec(snapshot.manifest.model, snapshot.folder.resolve())
        for snapshot in snapshots
        if snapshot.manifest.model is not None
    ]
    edits = [snapshot.edited for snapshot in snapshots]
    known = [edited for edited in edits if edited is not None]
    damaged_last = sorted(snapshots, key=lambda snapshot: snapshot.edited is None)
    return Snapshot(
        checks=Checks(path),
        manifest=Manifest(
            fingerprint=manifests[0].fingerprint,
            dim=manifests[0].dim,
            precision=" and ".join(sorted({manifest.precision for manifest in manifests})),
            aspects=next((manifest.aspects for manifest in manifests if manifest.aspects), ()),
            model=next(iter(specs), None),
            segments=tuple(record for manifest in manifests for record in manifest.segments),
            ignored=tuple(entry for manifest in manifests for entry in manifest.ignored),
        ),
        segments=tuple(
            segment.among_others(number * IDS, snapshot.manifest.root)
            for number, snapshot in enumerate(snapshots)
            for segment in snapshot.segments
        ),
        edited={k: v for edited in known for k, v in edited.items()} if len(known) == len(edits) else None,
        damage=tuple(damage for snapshot in damaged_last for damage in snapshot.damage),
    )
