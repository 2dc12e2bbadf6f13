"""Verification: every byte of a library against its checksum, and every part against the others."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .store.files import Checks, Damage, DamagedError
from .store.guard import NORM_TOLERANCE
from .store.manifest import Manifest, read_manifest
from .store.opening import open_snapshot
from .store.segment import Segment
from .store.snapshot import Snapshot
from .store.table_check import check_table
from .tune.exam import Exam

__all__ = ["Verification", "verify"]

SAMPLE = 256
"""Stored vectors whose lengths are checked."""


@dataclass(frozen=True, kw_only=True)
class Verification:
    """Result of a verification."""

    files: int
    bytes: int
    segments: int
    damage: tuple[Damage, ...]
    recall: dict[str, float]
    """By segment, recall@10 of an approximate index against exact search, on a sample of its own vectors."""


def verify(path: str | Path) -> Verification:
    """Read every byte of a library, whatever was verified before.

    Args:
        path: its folder.

    Raises:
        LibraryError: the folder is not a library, its manifest is damaged, or a file cannot be read now.
    """
    folder = Path(path).expanduser()
    manifest = read_manifest(folder)
    while True:
        result = look(folder, manifest)
        now = read_manifest(folder) if result.damage else manifest
        if now == manifest:
            return result
        manifest = now  # a writer has compacted since, so that files were gone before they were read


def look(folder: Path, manifest: Manifest) -> Verification:
    """Verify what one manifest names."""
    checks, damage = Checks(folder), []
    owners = {file.name: record.name for record in manifest.segments for file in record.files}
    for file in manifest.files:
        try:
            checks.path(file, again=True)
        except DamagedError as error:
            damage.append(Damage(owners.get(file.name), file.name, str(error)))
    snapshot = open_snapshot(checks, manifest)
    named = {item.file for item in damage}
    damage += [item for item in (*snapshot.damage, *contradictions(snapshot)) if item.file not in named]
    return Verification(
        files=len(manifest.files),
        bytes=sum(file.size for file in manifest.files),
        segments=len(manifest.segments),
        damage=tuple(damage),
        recall={s.record.name: recall(s) for s in snapshot.searchable if s.index is not s.vectors},
    )


def contradictions(snapshot: Snapshot) -> Iterator[Damage]:
    """What no correct writer would have written, in files that are as they were written."""
    owners: dict[str, str] = {}
    ids, unread = np.zeros(0, np.int64), len(snapshot.segments) - len(snapshot.searchable)
    for segment in snapshot.searchable:
        record = segment.record
        try:
            check_table(segment.table)
            segment.table.check_pages()
        except DamagedError as error:
            yield Damage(record.name, record.slices.name, str(error))
            unread += 1
            continue
        for problem in problems(segment, snapshot.manifest, ids):
            yield Damage(record.name, record.slices.name, problem)
        ids = np.concatenate([ids, segment.table.slices["slice_id"]])
        for name in segment.videos:
            if name not in record.removed and owners.setdefault(name, record.name) != record.name:
                yield Damage(record.name, record.slices.name, f"holds {name} as segment {owners[name]} does")
        sample = np.linspace(0, record.rows - 1, min(SAMPLE, record.rows)).astype(np.int64)
        norms = np.linalg.norm(segment.read(sample), axis=1)
        if not (np.abs(norms - 1) <= NORM_TOLERANCE).all():
            yield Damage(record.name, record.vectors.name, "holds vectors that are not L2-normalised")
    if snapshot.manifest.attributes and not unread:
        strangers = (snapshot.edited or {}).keys() - owners.keys()
        if strangers:
            yield Damage(
                None, snapshot.manifest.attributes.name, f"edits {min(strangers)}, which is not there"
            )


def problems(segment: Segment, manifest: Manifest, ids: NDArray[np.int64]) -> Iterator[str]:
    """What is wrong with a table; ``ids`` are the slice ids of those before it."""
    record, slice_ids = segment.record, segment.table.slices["slice_id"]
    if segment.vectors.d != manifest.dim:
        yield f"has vectors of dim={segment.vectors.d}, the library has {manifest.dim}"
    if segment.first_row[0] != 0 or (np.diff(segment.first_row) < 1).any():
        yield "has a video without rows, or rows without a video"
    unique = len(np.unique(slice_ids)) == len(slice_ids) and not np.isin(slice_ids, ids).any()
    if not unique or slice_ids.max() >= manifest.next_slice_id:
        yield "has slice ids that are used twice"
    hidden = {name: entry.rows for name, entry in segment.table.find(record.removed).items()}
    if hidden != record.removed:
        yield "does not hold the videos that are hidden in it"


def recall(segment: Segment) -> float:
    """Recall@10 of an approximate index, re-ranking included, on some of its own vectors."""
    built = segment.record.index
    exam = Exam(segment, built.seed + 1 if built else 0)  # other queries than the choice was made on
    return exam.take(segment.index, dict(built.parameters) if built else {}).recall
