"""Writing a library to Milvus: commit by commit, each of which readers see as a whole.

Rows are written under numbers that do not count yet, counted, and committed by one property of the
collection. A commit names the videos whose earlier rows it retires; they are deleted after it. A push that
was stopped leaves at most rows that do not count, and retired ones: the next push deletes both first.
"""

from collections.abc import Iterator
from dataclasses import replace
from itertools import groupby, islice
from operator import attrgetter
from secrets import randbits
from typing import Any, NamedTuple

import numpy as np

from sora_video.base.errors import FingerprintError, LibraryError
from sora_video.base.progress import Bar

from ..opened import OpenedLibrary
from ..store.block import Block
from ..store.compact import block, whole
from ..store.manifest import Manifest
from ..store.snapshot import Snapshot
from .collection import Collection
from .connection import ROW_BYTES
from .difference import Difference, Part, commits, compare
from .filters import among
from .rows import rows_of
from .state import State
from .whitenings import delete_others, write_whitenings

__all__ = ["INDEX", "Pushed", "push_library"]

INDEX = "AUTOINDEX"
"""Type of the index of vectors, where nothing else is said: what the server thinks best."""
REQUEST_BYTES = 1 << 23
"""Of rows that are sent together."""


class Pushed(NamedTuple):
    """What a push changed."""

    added: int
    replaced: int
    removed: int
    unchanged: int


def push_library(library: OpenedLibrary, address: str, index: str = INDEX) -> Pushed:
    """Make a library in Milvus equal to a folder: add, replace and remove what differs.

    A video is the same if its content, slice ids and attributes are. One push may run at a time. A push that
    was stopped goes on where it was.

    Args:
        library: the folder.
        address: ``milvus://HOST:PORT/COLLECTION``; a missing collection is made.
        index: type of the index of vectors of a new collection; ``FLAT`` is exact.

    Returns:
        How many videos were added, replaced, removed and left unchanged.

    Raises:
        ConfigError: it is no address, or the client of Milvus is not installed.
        FingerprintError: the collection has embeddings of another encoder.
        LibraryError: the folder is damaged, the server is away, or what is there is no library.
    """
    snapshot = library._snapshot
    whole(snapshot, snapshot.segments)
    manifest = manifest_of(library, snapshot.manifest)
    collection = Collection.open_or_create(address, State(manifest=manifest), index)
    check_same(library, collection)
    collection.connection.call("load_collection", collection.name)
    push = Push(collection, snapshot, manifest)
    push.clean()
    difference = compare(collection, snapshot)
    push.run(difference)
    replaced, removed = len(difference.replaced), len(difference.removed)
    unchanged = collection.state.videos - len(difference.changed)
    return Pushed(len(difference.changed) - replaced, replaced, removed, unchanged)


def manifest_of(library: OpenedLibrary, manifest: Manifest) -> Manifest:
    """What a library in Milvus says of itself: no files, and an absolute path of the model."""
    return Manifest(
        fingerprint=manifest.fingerprint,
        dim=manifest.dim,
        precision=manifest.precision,
        aspects=manifest.aspects,
        model=library.model,
        root=manifest.root,
        next_slice_id=manifest.next_slice_id,
    )


def check_same(library: OpenedLibrary, collection: Collection) -> None:
    """Refuse to push to the library of another encoder.

    Raises:
        FingerprintError: it is one.
        LibraryError: it is of another dimension.
    """
    here, there = library, collection.state.manifest
    if here.fingerprint != there.fingerprint:
        raise FingerprintError(
            f"library {library.path}",
            here.fingerprint,
            there.fingerprint,
            f"the collection {collection.address} is of another encoder: push to another name",
        )
    if here.dim != there.dim:
        raise LibraryError(
            f"library {library.path}: has dim={here.dim}, {collection.address} has {there.dim}; push to "
            "another name"
        )


class Push:
    """The steps of one push.

    Args:
        collection: the library in Milvus.
        snapshot: of the folder.
        manifest: what the library in Milvus is to say of itself.
    """

    def __init__(self, collection: Collection, snapshot: Snapshot, manifest: Manifest) -> None:
        self.collection, self.snapshot, self.manifest = collection, snapshot, manifest
        self.number = randbits(62)
        """Marks the rows of this push."""

    def clean(self) -> None:
        """Delete what does not count.

        Raises:
            LibraryError: the server is away.
        """
        self._delete(f"row >= {self.collection.state.rows}")
        self._delete_retired()

    def _delete_retired(self) -> None:
        """Delete the rows that the last commit retired."""
        state = self.collection.state
        if state.retired:
            self._delete(f"row < {state.retired_below} and {among(state.retired)}")
            self.collection.commit(replace(state, retired=(), retired_below=0))

    def _delete(self, expression: str) -> None:
        """Delete rows, and look whether they are gone."""
        connection, name = self.collection.connection, self.collection.name
        connection.call("delete", name, filter=expression)
        if left := connection.count(name, expression):
            raise LibraryError(
                f"{self.collection.address}: {left} rows were not deleted; another push may be running: "
                "repeat it when it is done"
            )

    def run(self, difference: Difference) -> None:
        """Do what has to be done.

        Raises:
            LibraryError: the server is away, or another push is running.
        """
        self._commit_whitening()
        done = 0
        with Bar("push", len(difference.changed) + len(difference.removed), "videos") as bar:
            for parts, retired in commits(difference):
                self._commit_videos(parts, retired)
                done += len(parts) or len(retired)
                bar.advance(done)
        if self.collection.state.manifest != self.manifest:
            self._commit(manifest=self.manifest)

    def _commit_whitening(self) -> None:
        """Make the folder's whitenings those of the library."""
        manifest, state = self.manifest, self.collection.state
        digest = None
        if self.snapshot.manifest.visible:
            ways = (None, *manifest.aspects)
            whitenings = {"" if way is None else way.name: self.snapshot.whitenings.by(way) for way in ways}
            digest = write_whitenings(self.collection, whitenings)
        if digest != state.whitening:
            self._commit(whitening=digest, manifest=replace(state.manifest, aspects=manifest.aspects))
        delete_others(self.collection)

    def _commit_videos(self, parts: list[Part], retired: dict[str, int]) -> None:
        """Write videos, and retire the rows that others have, in one commit."""
        state = self.collection.state
        written = self._write(parts, state.rows)
        added = len(parts) - len(retired) if parts else -len(retired)
        self._commit(
            rows=state.rows + written,
            videos=state.videos + added,
            slices=state.slices + written - sum(retired.values()),
            retired=tuple(sorted(retired)),
            retired_below=state.rows,
        )
        self._delete_retired()

    def _write(self, parts: list[Part], first: int) -> int:
        """Write the rows of videos, which do not count yet, and see that all are there; returns how many."""
        connection, name = self.collection.connection, self.collection.name
        row_bytes = 4 * self.manifest.dim + ROW_BYTES
        number = first
        for group in self._blocks(parts):
            for rows in batched(rows_of(group, number, self.number), max(1, REQUEST_BYTES // row_bytes)):
                connection.call("upsert", name, rows)
            number += len(group.vectors)
        there = connection.count(name, f"row >= {first} and row < {number} and push == {self.number}")
        if there != number - first:
            raise LibraryError(
                f"{self.collection.address}: {there} of {number - first} slices arrived, and were not "
                "committed; another push may be running: repeat it when it is done"
            )
        return number - first

    def _blocks(self, parts: list[Part]) -> Iterator[Block]:
        """The content of some videos."""
        edited = self.snapshot.edits()
        for number, group in groupby(parts, attrgetter("segment_no")):
            videos = np.array([part.entry.number for part in group], np.int64)
            yield block(self.snapshot.segments[number], videos, edited)

    def _commit(self, **changes: Any) -> None:
        """Commit, with some of the state changed."""
        state = self.collection.state
        self.collection.commit(replace(state, generation=state.generation + 1, **changes))


def batched(rows: Iterator[dict[str, Any]], size: int) -> Iterator[list[dict[str, Any]]]:
    """Rows in lists of a size."""
    while part := [*islice(rows, size)]:
        yield part
