"""Several libraries of one encoder become one, as when parts of a corpus were embedded on several machines.

Their videos are written one library after the other, some thousand slices at a time. Slices of the first keep
their ids, those of others get new ones. A video that one library ignores is left out of the others too, as an
addition leaves it out.
"""

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from heapq import merge as in_order
from itertools import accumulate, chain, groupby
from operator import itemgetter
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np

from sora_video.base.errors import ConfigError, FingerprintError, LibraryError
from sora_video.pretrain.encoders.spec import absolute_spec, near_spec

from .library import Library
from .store.block import Block, Member
from .store.compact import visible_blocks, whole
from .store.files import Checks
from .store.ignored import barred, join
from .store.manifest import Manifest, write_manifest
from .store.opening import open_snapshot
from .store.place import appearing
from .store.refresh import with_whitening
from .store.segment import Segment
from .store.segment_writer import write_segment
from .store.snapshot import Snapshot
from .store.video_source import VideoSource, source_of, with_source

__all__ = ["Keep", "Merged", "check_alike", "merge_libraries", "shared_videos"]

Keep = Literal["first", "last"]
"""Of which library a video is, that several have."""


class Merged(NamedTuple):
    """A library that others were merged into."""

    library: Library
    left_out: int
    """Videos that were left out since another library has a video of the same name."""
    ignored: int
    """Videos that were left out since another library ignores them."""


def merge_libraries(path: str | Path, libraries: Sequence[str | Path], keep: Keep | None = None) -> Merged:
    """Make a library of the videos of others; it appears whole or not at all.

    Args:
        path: its folder; it must not exist, or be empty.
        libraries: folders of the others, which stay as they are.
        keep: whether a video that several have is taken from the first or the last of them; None: it is
            refused.

    Returns:
        The library, and what was left out.

    Raises:
        FingerprintError: they are of different encoders.
        LibraryError: the folder holds something, a library is damaged, or several have a video of one name.
        StorageError: the disk refused the write.
    """
    folder = Path(path).expanduser().resolve()
    with appearing(folder) as beside:
        snapshots = [Library.open(library).snapshot for library in libraries]
        check_alike(snapshots)
        for snapshot in snapshots:
            whole(snapshot, snapshot.segments)
        unwanted, left_out = choose(snapshots, keep)
        manifest, blocks = manifest_of(snapshots, beside), Blocks(snapshots, unwanted)
        found = iter(blocks)
        first = next(found, None)
        if first is not None:
            rows = sum(snapshot.manifest.visible for snapshot in snapshots)
            record = write_segment(beside, manifest, rows, chain([first], found))
            manifest = replace(manifest, segments=(record,), next_segment=manifest.next_segment + 1)
        write_manifest(beside, with_whitening(open_snapshot(Checks(beside), manifest)))
    return Merged(Library.open(folder), left_out, blocks.ignored)


def check_alike(snapshots: Sequence[Snapshot]) -> None:
    """Refuse libraries that are not of one encoder.

    Args:
        snapshots: the opened libraries.

    Raises:
        ConfigError: there are none, or one is there twice.
        FingerprintError: they are of different encoders.
    """
    if not snapshots:
        raise ConfigError("libraries: none is named; name two or more")
    ((folder, times),) = Counter(snapshot.folder.resolve() for snapshot in snapshots).most_common(1)
    if times > 1:
        raise ConfigError(f"library {folder}: is named {times} times; name it once")
    first = snapshots[0]
    for snapshot in snapshots:
        if snapshot.manifest.fingerprint != first.manifest.fingerprint:
            raise FingerprintError(
                f"library {snapshot.folder}, named with library {first.folder},",
                snapshot.manifest.fingerprint,
                first.manifest.fingerprint,
                "name libraries of one encoder; `sora index migrate` embeds the videos of one anew",
            )


def choose(snapshots: Sequence[Snapshot], keep: Keep | None) -> tuple[list[set[str]], int]:
    """By library, the videos that are not to be taken from it; and how many there are."""
    unwanted: list[set[str]] = [set() for _ in snapshots]
    shared = dict(shared_videos(snapshots))
    if shared and keep is None:
        name, numbers = next(iter(shared.items()))
        folders = " and ".join(str(snapshots[number].folder) for number in numbers)
        raise LibraryError(
            f"libraries: {len(shared)} videos are in several, as {name} in {folders}; take them of one by "
            "--keep first or --keep last, or remove them from others with `sora index remove`"
        )
    for name, numbers in shared.items():
        for number in numbers[1:] if keep == "first" else numbers[:-1]:
            unwanted[number].add(name)
    return unwanted, sum(map(len, unwanted))


def shared_videos(snapshots: Sequence[Snapshot]) -> Iterator[tuple[str, list[int]]]:
    """Videos of one name that several libraries have, by name; all names are not in memory at once.

    Args:
        snapshots: the opened libraries.

    Yields:
        The name, and the numbers of the libraries.
    """
    names = [
        names_of(number, segment)
        for number, snapshot in enumerate(snapshots)
        for segment in snapshot.searchable
    ]
    for name, found in groupby(in_order(*names), itemgetter(0)):
        numbers = [number for _, number in found]
        if len(numbers) > 1:
            yield name, numbers


def names_of(number: int, segment: Segment) -> Iterator[tuple[str, int]]:
    """The visible videos of a segment by name, each with a number."""
    for name in segment.table.names_in_order():
        if name not in segment.record.removed:
            yield name, number


def manifest_of(snapshots: Sequence[Snapshot], folder: Path) -> Manifest:
    """What libraries have in common, without slices."""
    manifests = [snapshot.manifest for snapshot in snapshots]
    specs = [
        absolute_spec(snapshot.manifest.model, snapshot.folder.resolve())
        for snapshot in snapshots
        if snapshot.manifest.model is not None
    ]
    salt, ignored = join(manifests)
    return Manifest(
        fingerprint=manifests[0].fingerprint,
        dim=manifests[0].dim,
        precision="fp16" if all(manifest.precision == "fp16" for manifest in manifests) else "fp32",
        aspects=next((manifest.aspects for manifest in manifests if manifest.aspects), ()),
        model=near_spec(specs[0], folder) if specs else None,
        next_slice_id=sum(manifest.next_slice_id for manifest in manifests),
        ignored=ignored,
        salt=salt,
    )


class Blocks:
    """The videos of libraries, to be written in turn.

    Args:
        snapshots: the opened libraries.
        unwanted: by library, videos that are not to be taken from it.
    """

    ignored = 0
    """Videos that were left out since another library ignores them, so far."""

    def __init__(self, snapshots: Sequence[Snapshot], unwanted: Sequence[Collection[str]]) -> None:
        self.snapshots, self.unwanted = snapshots, unwanted

    def __iter__(self) -> Iterator[Block]:
        before = accumulate((s.manifest.next_slice_id for s in self.snapshots), initial=0)
        for number, (snapshot, first_id) in enumerate(zip(self.snapshots, before, strict=False)):
            for block in visible_blocks(snapshot.segments, snapshot.edits()):
                wanted = without(block, self.unwanted[number])
                kept = without(wanted, self.barred(number, wanted.members))
                self.ignored += len(wanted.members) - len(kept.members)
                if kept.members:
                    yield moved(kept, first_id, snapshot.manifest.root)

    def barred(self, number: int, members: Sequence[Member]) -> set[str]:
        """The videos of a library that others ignore."""
        contents = {member.video_id: member.content for member in members}
        others = [*self.snapshots[:number], *self.snapshots[number + 1 :]]
        return {name for other in others for name in barred(other.manifest, contents)}


def without(block: Block, names: Collection[str]) -> Block:
    """A block without some videos."""
    is_kept = [member.video_id not in names for member in block.members]
    if all(is_kept):
        return block
    rows = np.flatnonzero(np.repeat(is_kept, [member.rows for member in block.members]))
    members = [member for member, kept in zip(block.members, is_kept, strict=True) if kept]
    return Block(members, block.slices.take(rows), block.vectors[rows])


def moved(block: Block, first_id: int, root: str | None) -> Block:
    """A block for another library: its slices have other ids, its videos remember where they come from."""
    members = block.members
    if root is not None:  # of libraries of older versions
        source = VideoSource(root)
        members = [
            member
            if source_of(member.attributes)
            else member._replace(attributes=with_source(member.attributes, source))
            for member in members
        ]
    slices = block.slices._replace(slice_id=block.slices.slice_id + first_id)
    return block._replace(members=members, slices=slices)
