"""A library at one moment: its manifest, and all that it names, opened."""

import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sora_video.base.errors import LibraryError
from sora_video.pretrain.encoders.embeddings import Embeddings

from .attributes import Attributes, Value
from .files import Checks, Damage
from .filters import Where, check_order
from .kept_filters import KeptFilters
from .manifest import Manifest, SegmentRecord
from .segment import Segment
from .table import Entry, Slices
from .video_source import VideoSource, attributes_alone, source_of
from .whitenings import Whitenings

__all__ = ["Held", "Snapshot"]


class Held(NamedTuple):
    """A visible video."""

    segment_no: int
    """Position of its segment in the manifest."""
    entry: Entry
    attributes: Attributes
    """As they are now."""
    source: VideoSource | None
    """Where it came from; None: unknown."""


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """An opened library; it does not change when writers commit."""

    checks: Checks
    manifest: Manifest
    segments: tuple[Segment, ...]
    """One for each record of the manifest; those of a damaged table or damaged vectors among them."""
    edited: Mapping[str, Attributes] | None
    """Attributes that hold in place of the stored ones, by video; None: their file is damaged."""
    damage: tuple[Damage, ...]
    """The files that cannot be read."""

    @property
    def folder(self) -> Path:
        """The library's folder."""
        return self.checks.folder

    @property
    def searchable(self) -> tuple[Segment, ...]:
        """The segments that are whole."""
        return tuple(segment for segment in self.segments if segment.searchable)

    def edits(self) -> dict[str, Attributes]:
        """A copy of :attr:`edited`.

        Raises:
            LibraryError: their file is damaged.
        """
        if self.edited is None:
            raise LibraryError(f"library {self.folder}: {self.damage[-1]}; see `sora index repair`")
        return dict(self.edited)

    def held(self, segment_no: int, entry: Entry, edited: Mapping[str, Attributes]) -> Held:
        """A video of a segment, with its edited attributes.

        Args:
            segment_no: position of the segment in the manifest.
            entry: the video in its table.
            edited: attributes that replace the stored ones, by video.
        """
        stored = edited[entry.video_id] if entry.video_id in edited else json.loads(entry.attributes)
        root = self.segments[segment_no].root or self.manifest.root
        source = source_of(stored) or (VideoSource(root) if root is not None else None)
        return Held(segment_no, entry, attributes_alone(stored), source)

    def find(self, video_ids: Collection[str]) -> dict[str, Held]:
        """Videos that the library holds.

        Args:
            video_ids: videos, held or not.

        Returns:
            By video; others are left out.

        Raises:
            LibraryError: the answer is unknown, since a table or the file of edited attributes is damaged.
        """
        edited, held = self.edits(), {}
        for segment_no, segment in enumerate(self.segments):
            for name, entry in segment.find(video_ids).items():
                held[name] = self.held(segment_no, entry, edited)
        return held

    def find_all(self, video_ids: Collection[str]) -> dict[str, Held]:
        """Videos that the library must hold.

        Args:
            video_ids: videos.

        Returns:
            By video.

        Raises:
            LibraryError: the library does not hold one of them; or see :meth:`find`.
        """
        held = self.find(video_ids)
        self._check_known(set(video_ids) - held.keys())
        return held

    def entries(self, video_ids: Collection[str]) -> dict[int, dict[str, Entry]]:
        """Videos that the library must hold, as their segments have them.

        Args:
            video_ids: videos.

        Returns:
            By position of the segment in the manifest, and by video.

        Raises:
            LibraryError: the library does not hold one of them, or a table is damaged.
        """
        found = {number: segment.find(video_ids) for number, segment in enumerate(self.segments)}
        self._check_known(set(video_ids).difference(*found.values()))
        return {number: entries for number, entries in found.items() if entries}

    def _check_known(self, unknown: Collection[str]) -> None:
        """Refuse videos that the library does not hold."""
        if unknown:
            names = ", ".join(sorted(unknown))
            raise LibraryError(
                f"library {self.folder}: has no video {names}; nothing was done, correct the name"
            )

    def whole(self, number: int) -> Segment:
        """A segment whose vectors can be read.

        Args:
            number: its position in the manifest.

        Raises:
            LibraryError: its vectors are damaged.
        """
        segment = self.segments[number]
        if segment.vectors is None:
            raise LibraryError(f"library {self.folder}: {segment.damage[0]}; see `sora index repair`")
        return segment

    def embeddings(self, held: Held) -> Embeddings:
        """The slices of a video, with their vectors as they are stored.

        Args:
            held: the video, see :meth:`find`.

        Raises:
            LibraryError: its segment is damaged.
        """
        segment, entry = self.whole(held.segment_no), held.entry
        rows = np.arange(entry.first_row, entry.first_row + entry.rows)
        _, slice_no, start_s, end_s, still = segment.columns(rows)
        return Embeddings(
            video_id=np.full(len(rows), entry.video_id, object),
            slice_no=slice_no,
            start_s=start_s,
            end_s=end_s,
            vectors=segment.read(rows),
            still=still,
            fingerprint=self.manifest.fingerprint,
            aspects=self.manifest.aspects,
        )

    def slices(self, held: Held) -> Slices:
        """The slices of a video, without their vectors.

        Args:
            held: the video, see :meth:`find`.

        Raises:
            LibraryError: its segment is damaged.
        """
        entry = held.entry
        rows = np.arange(entry.first_row, entry.first_row + entry.rows)
        return self.whole(held.segment_no).columns(rows)

    def durations(self, videos: Mapping[str, Held]) -> dict[str, float]:
        """Ends of the last slices of videos, in seconds.

        Args:
            videos: by name, see :meth:`find`.

        Raises:
            LibraryError: a segment is damaged.
        """
        found: dict[str, float] = {}
        for number in sorted({held.segment_no for held in videos.values()}):
            entries = [held.entry for held in videos.values() if held.segment_no == number]
            last = np.array([entry.first_row + entry.rows - 1 for entry in entries])
            ends = self.segments[number].columns(last).end_s.tolist()
            found |= {entry.video_id: end for entry, end in zip(entries, ends, strict=True)}
        return found

    @cached_property
    def whitenings(self) -> Whitenings:
        """What likeness is measured by."""
        return Whitenings(self.checks, self.manifest, self.searchable)

    def visible(
        self, segment: Segment, exclude: Collection[str], where: Where | None
    ) -> NDArray[np.bool_] | None:
        """(rows,) which rows of a segment may be found; None: all.

        Args:
            segment: one of them.
            exclude: videos to leave out besides those that were removed.
            where: a filter.

        Raises:
            LibraryError: there is a filter, and the file of edited attributes is damaged.
        """
        hidden = segment.record.removed.keys() | segment.table.find(exclude).keys()
        mask = segment.visible(hidden) if hidden else None
        if where is None:
            return mask
        passing = self.matching(segment, where)
        return passing if mask is None else passing & mask

    def matching(self, segment: Segment, where: Where) -> NDArray[np.bool_]:
        """(rows,) which rows of a segment a filter lets through; those of the last filters are kept.

        Args:
            segment: one of them.
            where: a filter.

        Raises:
            LibraryError: the file of edited attributes is damaged.
        """
        mask = self._kept_filters.find(segment, where)
        if mask is None:
            mask = segment.matching(where, self.edits())
            self._kept_filters.keep(segment, where, mask)
        return mask

    @cached_property
    def _kept_filters(self) -> KeptFilters:
        """What the last filters let through."""
        return KeptFilters(len(self.segments))

    def check_order(self, where: Where) -> None:
        """Refuse a filter that compares an attribute with what none of its values can be compared with.

        Args:
            where: a filter.

        Raises:
            LibraryError: it does, or the file of edited attributes is damaged.
        """
        check_order(where, self.values_of)

    def values_of(self, name: str) -> Iterator[tuple[str, Value]]:
        """Videos that have an attribute, with its value; also those that are hidden.

        Args:
            name: of the attribute.
        """
        edited = self.edits()
        yield from ((video, values[name]) for video, values in edited.items() if name in values)
        for segment in self.searchable:
            for _, video_id, attributes in segment.table.with_attribute(name):
                if video_id not in edited:
                    yield video_id, attributes[name]

    def slice(self, slice_id: int) -> Embeddings:
        """One visible slice.

        Args:
            slice_id: its stable id.

        Returns:
            A table of one row.

        Raises:
            LibraryError: no visible slice has this id.
        """
        for segment in self.searchable:
            row = segment.row_of(slice_id)
            if row is None:
                continue
            name = segment.videos[int(segment.video_of(np.array([row]))[0])]
            if name in segment.record.removed:
                continue
            embeddings = self.embeddings(self.find_all([name])[name])
            return embeddings.select(np.array([row - int(segment.table.find([name])[name].first_row)]))
        raise LibraryError(f"library {self.folder}: has no slice {slice_id}; correct the number")

    def hide(self, videos: Collection[Held]) -> list[SegmentRecord]:
        """The manifest's segments with more videos hidden.

        Args:
            videos: to hide, see :meth:`find`.
        """
        removed = [dict(segment.record.removed) for segment in self.segments]
        for held in videos:
            removed[held.segment_no][held.entry.video_id] = held.entry.rows
        return [
            replace(segment.record, removed=hidden)
            for segment, hidden in zip(self.segments, removed, strict=True)
        ]
