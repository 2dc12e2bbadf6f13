"""Adding videos: those that are new or changed are written, one table of them in memory at a time."""

import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sora_video.base.errors import LibraryError
from sora_video.pretrain.encoders.embeddings import Embeddings

from .attributes import Attributes, check_attributes, to_json
from .block import Block, Member
from .guard import check_added, check_embeddings
from .ignored import barred
from .manifest import Manifest, SegmentRecord
from .segment_writer import write_segment
from .snapshot import Held, Snapshot
from .table import Slices
from .update import content_key, differ, refuse_clashes, succeed
from .video_source import VideoSource, with_source

__all__ = ["Added", "Adding", "Addition", "block_of", "content_of", "rows_by_video"]


class Added(NamedTuple):
    """How many videos were added, replaced and left as they were."""

    added: int = 0
    replaced: int = 0
    """Videos that the library held under the same name with another content."""
    unchanged: int = 0
    """Videos that the library held with the same content; they keep their slices."""
    ignored: int = 0
    """Videos that are not to come back; they were left out."""

    def plus(self, other: "Added") -> "Added":
        """The counts of two additions.

        Args:
            other: of other videos.
        """
        return Added(*(here + there for here, there in zip(self, other, strict=True)))


class Addition(NamedTuple):
    """Some videos to add."""

    embeddings: Embeddings
    """All of their slices."""
    source: VideoSource | None = None
    """Where they come from; None: unknown."""
    content: Mapping[str, str] = {}
    """SHA-256 of a video's content; where it is missing, that of its rows is used."""
    attributes: Mapping[str, Attributes] = {}
    """To set, by video; also of videos that the library holds and that are not added."""


class Adding:
    """What a library becomes while videos are added to it.

    Args:
        snapshot: the library as it is.
        replacing: replace videos of other sources too.
    """

    model: str | None = None
    """Spec of the encoder of what was added; None: unknown."""

    def __init__(self, snapshot: Snapshot, replacing: bool) -> None:
        self.snapshot, self.replacing = snapshot, replacing
        self.aspects = snapshot.manifest.aspects
        self.added = Added()
        self._next_slice_id = snapshot.manifest.next_slice_id
        self._edited = snapshot.edits()
        self._replaced: list[Held] = []

    def write(self, additions: Iterable[Addition], rows: int) -> Manifest:
        """Write the videos that are new or changed.

        Args:
            additions: no video is in two of them.
            rows: of all that are expected to be written, see :func:`.segment.write_segment`.

        Returns:
            The manifest to commit.

        Raises:
            FingerprintError: another encoder made the embeddings.
            LibraryError: vectors are not L2-normalised, names, times or attributes cannot be kept, the
                library is damaged, or it holds another video of a name, see :func:`.update.refuse_clashes`.
            StorageError: the disk refused the write.
        """
        segments = self._segments(additions, rows)
        if not segments and not differ(self._edited, self.snapshot.edited):
            return self.snapshot.manifest
        records = [*self.snapshot.hide(self._replaced), *segments]
        return succeed(self.snapshot, records, self._edited, next_slice_id=self._next_slice_id)

    def _segments(self, additions: Iterable[Addition], rows: int) -> list[SegmentRecord]:
        """Write the segment of what is added, where anything is."""
        blocks = self._blocks(additions)
        first = next(blocks, None)
        if first is None:
            return []
        folder, manifest = self.snapshot.folder, self.snapshot.manifest
        try:
            return [write_segment(folder, manifest, rows, chain([first], blocks))]
        except sqlite3.IntegrityError as error:
            raise LibraryError(
                "the embeddings to add: the rows of a video are apart from each other; sort them by video"
            ) from error

    def _blocks(self, additions: Iterable[Addition]) -> Iterator[Block]:
        """What is to be written of each addition."""
        for addition in additions:
            embeddings = addition.embeddings
            check_embeddings(embeddings, "the embeddings to add", self.snapshot.manifest)
            check_added(embeddings)
            self.model, self.aspects = self.model or embeddings.model, self.aspects or embeddings.aspects
            rows = rows_by_video(embeddings)
            members = self._members(addition, rows)
            if members:
                order = np.concatenate([rows[member.video_id] for member in members])
                yield block_of(embeddings, members, order, self._next_slice_id)
                self._next_slice_id += len(order)

    def _members(self, addition: Addition, rows: Mapping[str, NDArray[np.int64]]) -> list[Member]:
        """The videos that are new or changed, as they are to be written; all others are noted."""
        embeddings, source, content, attributes = addition
        for name, given in attributes.items():
            check_attributes(name, given)
        keys = keys_of(embeddings, rows, content)
        held = self.snapshot.find({**rows, **attributes, **content})
        changed = [
            name for name in rows if name not in held or content_of(self.snapshot, held[name]) != keys[name]
        ]
        left_out = barred(self.snapshot.manifest, {name: keys[name] for name in changed})
        changed = [name for name in changed if name not in left_out]
        if not self.replacing:
            refuse_clashes(self.snapshot, {name: held[name] for name in changed if name in held}, source)
        written, same = set(changed), rows.keys() - {*changed, *left_out}
        again = same | {
            name for name in held.keys() - rows.keys() if content.get(name) == held[name].entry.content
        }
        wanted = {name: with_source(attributes.get(name, {}), source) for name in written - held.keys()}
        for name, old in held.items():
            now = source_after(old, source, written=name in written, again=name in again)
            wanted[name] = with_source({**old.attributes, **attributes.get(name, {})}, now)
        replaced = [held[name] for name in changed if name in held]
        self._note_edits(held, written, wanted)
        self._replaced += replaced
        counts = Added(len(written) - len(replaced), len(replaced), len(same), len(left_out))
        self.added = self.added.plus(counts)
        return [Member(name, keys[name], wanted[name], len(rows[name])) for name in changed]

    def _note_edits(
        self, held: Mapping[str, Held], written: set[str], wanted: Mapping[str, Attributes]
    ) -> None:
        """Keep the attributes that change of videos that are not written."""
        for name in written:
            self._edited.pop(name, None)
        for name in held.keys() - written:
            before = with_source(held[name].attributes, held[name].source)
            if to_json(wanted[name]) != to_json(before):
                self._edited[name] = wanted[name]


def keys_of(
    embeddings: Embeddings, rows: Mapping[str, NDArray[np.int64]], content: Mapping[str, str]
) -> dict[str, str]:
    """What each video's content is known by: as it is given, else by its rows."""
    return {
        name: content.get(name)
        or content_key(
            embeddings.start_s[video_rows], embeddings.end_s[video_rows], embeddings.vectors[video_rows]
        )
        for name, video_rows in rows.items()
    }


def source_after(held: Held, source: VideoSource | None, *, written: bool, again: bool) -> VideoSource | None:
    """The source of a video that is held, after an addition.

    Args:
        held: the video.
        source: of the addition; None: unknown.
        written: whether the addition replaces the video.
        again: whether it holds the same content; the source changes where the old file is gone.
    """
    if source is None or source == held.source or not (written or again):
        return held.source
    kept = again and held.source is not None and held.source.has(held.entry.video_id)
    return held.source if kept else source


def rows_by_video(embeddings: Embeddings) -> dict[str, NDArray[np.int64]]:
    """The rows of each video, in order of appearance.

    Args:
        embeddings: of any videos.

    Returns:
        (n,) row numbers by video.
    """
    rows: dict[str, list[int]] = {}
    for row, name in enumerate(embeddings.video_id.tolist()):
        rows.setdefault(name, []).append(row)
    return {name: np.array(video_rows, np.int64) for name, video_rows in rows.items()}


def block_of(
    embeddings: Embeddings, members: Sequence[Member], rows: NDArray[np.int64], first_slice_id: int
) -> Block:
    """Some rows to write.

    Args:
        embeddings: that have them.
        members: the videos.
        rows: (n,) row numbers, those of the first video first.
        first_slice_id: ids are given from this one on.
    """
    slices = Slices(
        slice_id=np.arange(first_slice_id, first_slice_id + len(rows)),
        slice_no=embeddings.slice_no[rows],
        start_s=embeddings.start_s[rows],
        end_s=embeddings.end_s[rows],
        still=embeddings.still[rows],
    )
    return Block(members, slices, embeddings.vectors[rows])


def content_of(snapshot: Snapshot, held: Held) -> str:
    """The content of a video that is held; tables of version 1 did not keep it.

    Args:
        snapshot: the library.
        held: the video.
    """
    if held.entry.content or snapshot.segments[held.segment_no].vectors is None:
        return held.entry.content
    embeddings = snapshot.embeddings(held)
    return content_key(embeddings.start_s, embeddings.end_s, embeddings.vectors)
