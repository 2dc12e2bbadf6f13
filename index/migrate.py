"""A library is embedded anew by another encoder, and stays what it is until the new one is whole.

The new embeddings lie beside the old ones, see :mod:`.store.migration`; one commit puts them in their place.
Videos keep names, attributes, folders and contents; their slices, which may be others, get new ids.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from sora_video.base.errors import CorpusError, LibraryError
from sora_video.pretrain.encoders.embeddings import Embeddings, is_parts
from sora_video.pretrain.encoders.parts import embed_to
from sora_video.pretrain.encoders.spec import near_spec
from sora_video.pretrain.encoders.streamed import StreamedTable
from sora_video.pretrain.video.corpus import Corpus, Source, Video, open_corpus
from sora_video.pretrain.video.quarantine import Failure

from .encoder import open_encoder
from .library import Library
from .store.add import block_of, content_of, rows_by_video
from .store.block import Block, Member
from .store.compact import whole
from .store.files import Checks
from .store.guard import check_embeddings
from .store.manifest import Manifest, read_manifest, sweep, write_manifest, writer_lock
from .store.migration import Round, first_id, forget, place_of, rounds_of
from .store.opening import open_snapshot
from .store.refresh import with_whitening
from .store.segment_writer import write_segment
from .store.snapshot import Held, Snapshot
from .store.video_source import with_source

if TYPE_CHECKING:
    from sora_video.pretrain.encoders.frozen import VideoEncoder

__all__ = ["Migrated", "migrate_library"]


class Migrated(NamedTuple):
    """A library that was embedded anew."""

    library: Library
    embedded: int
    """Videos that this call embedded; others were embedded by earlier ones."""
    failures: tuple[Failure, ...]
    """Videos that could not be embedded, and left the library."""


def migrate_library(
    path: str | Path, model: str | Path, source: Source | None = None, *, drop: bool = False
) -> Migrated:
    """Embed all videos of a library by another encoder, and put the embeddings in the place of the old ones.

    Until then the library is searched and added to as before. A call that was stopped goes on where it was;
    what was added meanwhile is embedded too.

    Args:
        path: the library's folder.
        model: spec of the other encoder.
        source: corpus of the videos, by the names that they have in the library; None: the files that they
            were added from, as wholes.
        drop: leave out videos that cannot be embedded.

    Returns:
        The library as it is now.

    Raises:
        LibraryError: videos cannot be embedded, or the library is damaged; it is as it was, and what was
            embedded is kept for the next call.
        RunError: the run is not finished, or damaged.
        StorageError: the disk refused a write; the library is as it was.
    """
    library, encoder = Library.open(path), open_encoder(model)
    forget(place_of(library.path, library.fingerprint))  # of a call that was killed after the commit
    videos = None if source is None else by_name(open_corpus(source))
    embedded = 0
    while library.fingerprint != encoder.fingerprint:
        snapshot = library.snapshot
        whole(snapshot, snapshot.segments)
        rounds = rounds_of(place_of(library.path, encoder.fingerprint), snapshot.manifest.next_slice_id)
        failures: list[Failure] = []
        for part in rounds:
            count, failed = embed_round(snapshot, part, encoder, videos)
            embedded, failures = embedded + count, failures + failed
        if failures and not drop:
            raise cannot_embed(library, failures)
        if swap(library.path, rounds, encoder):
            forget(place_of(library.path, encoder.fingerprint))
            return Migrated(library.reopened(), embedded, tuple(failures))
        library = library.reopened()
    return Migrated(library, embedded, ())


def by_name(corpus: Corpus) -> dict[str, list[Video]]:
    """The entries of a corpus by video."""
    videos: dict[str, list[Video]] = {}
    for video in corpus.videos:
        videos.setdefault(video.video_id, []).append(video)
    return videos


def cannot_embed(library: Library, failures: Sequence[Failure]) -> LibraryError:
    """The error of a library of which not all videos can be embedded anew."""
    first = failures[0]
    return LibraryError(
        f"library {library.path}: {len(failures)} videos cannot be embedded anew, as {first.video_id}: "
        f"{first.reason}; it is as it was. Name their corpus with --videos, remove them with "
        "`sora index remove`, or leave them out with --drop"
    )


def embed_round(
    snapshot: Snapshot, part: Round, encoder: "VideoEncoder", videos: Mapping[str, list[Video]] | None
) -> tuple[int, list[Failure]]:
    """Embed the videos of a round that are not embedded yet: how many, and those that cannot be."""
    entries: list[Video] = []
    failures: list[Failure] = []
    for name, held in visible(snapshot):
        if part.has(first_id(snapshot, held)):
            found = files_of(name, held, videos)
            entries += found
            if not found:
                failures.append(Failure(name, "the folder that it came from is unknown"))
    if not entries:
        return 0, failures
    try:
        done = embed_to(encoder, Corpus(snapshot.folder, tuple(entries)), part.folder)
    except CorpusError as error:
        if not error.failures:
            raise
        return 0, [*failures, *error.failures]
    return done.videos, [*failures, *done.failures]


def visible(snapshot: Snapshot) -> Iterator[tuple[str, Held]]:
    """The videos of a library by row."""
    edited = snapshot.edits()
    for number, segment in enumerate(snapshot.segments):
        for entry in segment.table.entries():
            if entry.video_id not in segment.record.removed:
                yield entry.video_id, snapshot.held(number, entry, edited)


def files_of(name: str, held: Held, videos: Mapping[str, list[Video]] | None) -> list[Video]:
    """The file of a video, or spans of it; none where it is not known."""
    if videos is not None:
        return videos.get(name, [])
    return [Video(video_id=name, path=held.source.path(name))] if held.source else []


def swap(folder: Path, rounds: Sequence[Round], encoder: "VideoEncoder") -> bool:
    """Commit the new embeddings; False where videos were added that are in no round."""
    with writer_lock(folder):
        manifest = read_manifest(folder)
        sweep(folder, manifest)
        snapshot = open_snapshot(Checks(folder), manifest)
        if manifest.next_slice_id > (rounds[-1].high if rounds else 0):
            return False
        tables = [(part, StreamedTable(part.folder)) for part in rounds if is_parts(part.folder)]
        new = replace(
            manifest,
            fingerprint=encoder.fingerprint,
            dim=encoder.dim,
            aspects=encoder.spans,
            model=None if encoder.spec is None else near_spec(encoder.spec, folder),
            attributes=None,
            whitening=None,
            segments=(),
        )
        new = with_whitening(open_snapshot(Checks(folder), written(snapshot, new, tables)))
        write_manifest(folder, new)
        sweep(folder, new)
    return True


def written(
    snapshot: Snapshot, manifest: Manifest, tables: Sequence[tuple[Round, StreamedTable]]
) -> Manifest:
    """Write the new segment; the manifest that names it."""
    blocks = blocks_of(snapshot, manifest, tables)
    first = next(blocks, None)
    if first is None:
        return manifest
    rows = sum(table.rows for _, table in tables)
    record = write_segment(snapshot.folder, manifest, rows, chain([first], blocks))
    return replace(
        manifest,
        segments=(record,),
        next_segment=manifest.next_segment + 1,
        next_slice_id=manifest.next_slice_id + record.rows,
    )


def blocks_of(
    snapshot: Snapshot, manifest: Manifest, tables: Sequence[tuple[Round, StreamedTable]]
) -> Iterator[Block]:
    """The videos that are still in the library as they were embedded, with all that is known of them."""
    next_id = manifest.next_slice_id
    for part, table in tables:
        for piece in table:
            check_embeddings(piece, f"a part of {part.folder}", manifest)
            block = block_from(snapshot, part, piece, next_id)
            if block.members:
                yield block
            next_id += len(block.vectors)


def block_from(snapshot: Snapshot, part: Round, piece: Embeddings, next_id: int) -> Block:
    """The videos of a piece that the library has, with ids from ``next_id`` on."""
    rows = rows_by_video(piece)
    held = {name: found for name, found in snapshot.find(rows).items() if part.has(first_id(snapshot, found))}
    members = [
        Member(
            name,
            content_of(snapshot, held[name]),
            with_source(held[name].attributes, held[name].source),
            len(rows[name]),
        )
        for name in rows
        if name in held
    ]
    order = [rows[member.video_id] for member in members]
    return block_of(piece, members, np.concatenate([np.zeros(0, np.int64), *order]), next_id)
