"""An opened library, or several as one: everything that is searched and read of videos."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sora_video.pretrain.encoders.embeddings import Embeddings
from sora_video.pretrain.encoders.spec import absolute_spec

from .info import LibraryInfo, VideoInfo, info_of, list_videos
from .query import Query
from .search.compare import Comparisons
from .search.search import Hit, Matches, find, find_many
from .search.shelf import EFFORT_BY_ASPECT, Shelf
from .search.stored import SnapshotVideos
from .search.threads import threads_for
from .searched import SearchedLibrary
from .store.attributes import Attributes
from .store.files import Damage
from .store.filters import Where
from .store.manifest import Manifest
from .store.means import video_means
from .store.snapshot import Snapshot
from .store.table import Slices
from .store.video_source import VideoSource

__all__ = ["OpenedLibrary"]


class OpenedLibrary(SearchedLibrary):
    """A library as it was at one moment.

    A damaged library can be opened: its undamaged parts are searched, and :attr:`damage` names the rest.

    Args:
        path: its folder.
        snapshot: its committed state.
    """

    def __init__(self, path: Path, snapshot: Snapshot) -> None:
        self.path = path
        self._show(snapshot)

    def _show(self, snapshot: Snapshot) -> None:
        """Answer from a snapshot from now on."""
        self._snapshot = snapshot
        self._comparisons = Comparisons(SnapshotVideos(snapshot))

    def __str__(self) -> str:
        return str(self.path)

    @property
    def folder(self) -> Path | None:
        """Where the library lies; None: it is several."""
        return None

    @property
    def snapshot(self) -> Snapshot:
        """Its files and what they hold, for what works on several libraries."""
        return self._snapshot

    @property
    def _manifest(self) -> Manifest:
        return self._snapshot.manifest

    @property
    def model(self) -> str | None:
        """Spec of the encoder, absolute, where one is known; a run folder may have moved since."""
        remembered = self._manifest.model
        return None if remembered is None else absolute_spec(remembered, self.path.resolve())

    @property
    def damage(self) -> tuple[Damage, ...]:
        """All that cannot be read; searches go on without it."""
        return self._snapshot.damage

    def __len__(self) -> int:
        """Slices that can be searched."""
        return sum(segment.record.visible for segment in self._snapshot.searchable)

    def videos(self) -> list[str]:
        """The videos that can be searched, sorted."""
        return sorted(name for segment in self._snapshot.searchable for name in segment.visible_videos())

    def attributes(self, video_id: str) -> Attributes:
        """The attributes of a video.

        Args:
            video_id: a video of the library.

        Raises:
            LibraryError: the library does not hold it, or is damaged.
        """
        return self._snapshot.find_all([video_id])[video_id].attributes

    def sources(self, video_ids: Iterable[str]) -> dict[str, VideoSource | None]:
        """Where videos came from.

        Args:
            video_ids: videos of the library.

        Returns:
            By video; None where that is unknown.

        Raises:
            LibraryError: the library does not hold one of them, or is damaged.
        """
        return {name: held.source for name, held in self._snapshot.find_all(list(video_ids)).items()}

    def list_videos(self, where: Where | None = None) -> list[VideoInfo]:
        """The videos that can be searched, by name, with where they came from and their attributes.

        Args:
            where: only those of which a slice passes this filter; None: all.

        Raises:
            LibraryError: the file of edited attributes is damaged, or the filter compares what has no order.
        """
        return list_videos(self._snapshot, where)

    def embeddings(self, video_id: str) -> Embeddings:
        """The slices of a video, with their vectors as they are stored.

        Args:
            video_id: a video of the library.

        Raises:
            LibraryError: the library does not hold it, or is damaged.
        """
        return self._snapshot.embeddings(self._snapshot.find_all([video_id])[video_id])

    def means(self) -> tuple[list[str], NDArray[np.float32]]:
        """The mean of each video's slices; those that show nothing count only where there are no others.

        Returns:
            V names, sorted, and (V, D) means, whose lengths are below 1.

        Raises:
            LibraryError: the file of edited attributes is damaged.
        """
        return video_means(self._snapshot)

    def slices(self, video_id: str) -> Slices:
        """The slices of a video with their ids, by number, without their vectors.

        Args:
            video_id: a video of the library.

        Raises:
            LibraryError: the library does not hold it, or is damaged.
        """
        return self._snapshot.slices(self._snapshot.find_all([video_id])[video_id])

    def durations(self, video_ids: Iterable[str]) -> dict[str, float]:
        """Ends of the last slices of videos, in seconds.

        Args:
            video_ids: videos of the library.

        Returns:
            By video.

        Raises:
            LibraryError: the library does not hold one of them, or is damaged.
        """
        return self._snapshot.durations(self._snapshot.find_all(list(video_ids)))

    def contents(self, video_ids: Iterable[str]) -> dict[str, str]:
        """SHA-256 of the content of videos; see :meth:`add`.

        Args:
            video_ids: videos, held or not.

        Returns:
            64 hexadecimal digits by video; videos that the library does not hold are left out.

        Raises:
            LibraryError: the library is damaged.
        """
        return {name: held.entry.content for name, held in self._snapshot.find(list(video_ids)).items()}

    def slice(self, slice_id: int) -> Embeddings:
        """One slice, with its vector as it is stored.

        Args:
            slice_id: its stable id, as a hit names it.

        Returns:
            A table of one row.

        Raises:
            LibraryError: the library does not hold it.
        """
        return self._snapshot.slice(slice_id)

    def whiten(self, vectors: NDArray[np.float32], by: str | None = None) -> NDArray[np.float32]:
        """Whiten vectors by the library's whitening; see :mod:`sora_video.index.store.whitening`.

        Args:
            vectors: (N, D) embeddings.
            by: an aspect, whose parts of the vectors are whitened by a whitening of their own; None: all.

        Returns:
            (N, D) vectors of length 1, whose inner products are likenesses; of as many dimensions as the
            aspect.

        Raises:
            ConfigError: the library does not have the aspect.
        """
        return self.comparison(by).whiten(vectors)

    def info(self) -> LibraryInfo:
        """The library in numbers; what is damaged is not counted."""
        return info_of(self._snapshot, self.model)

    def warm(self) -> None:
        """Read what searches look up, so that the first ones are as quick as later ones."""
        for segment in self._snapshot.searchable:
            segment.table.warm()

    def search(self, query: Query) -> list[Hit]:
        """Find the videos with the slices most like those of a query, exactly where no index was built.

        Args:
            query: slices to look for together; a video's cosine is that of its best pair with any of them.

        Returns:
            A hit a video, by falling cosine, those of equal cosine by name.

        Raises:
            ConfigError: the library does not have the aspect that the query asks by.
            FingerprintError: another encoder made the query.
            LibraryError: the query is not L2-normalised, or the library has been damaged since.
        """
        shelves = self._shelves(query)
        rows = sum(shelf.count for shelf in shelves)
        with threads_for(len(query.embeddings) * rows * self.dim):
            return find(shelves, self._asked(query), query.top)

    def search_many(self, query: Query) -> Matches:
        """Find the best videos of each of thousands of slices.

        Args:
            query: Q slices, each searched for alone.

        Returns:
            Arrays of (Q, top), best first.

        Raises:
            ConfigError: the library does not have the aspect that the query asks by.
            FingerprintError: another encoder made the query.
            LibraryError: the query is not L2-normalised, or the library has been damaged since.
        """
        return find_many(self._shelves(query), self._asked(query).vectors, query.top)

    def _shelves(self, query: Query) -> list[Shelf]:
        """The segments, each with what may be found there."""
        self.check(query.embeddings)
        if query.where is not None:
            self._snapshot.check_order(query.where)
        effort = 1 if query.by is None else EFFORT_BY_ASPECT
        return [
            Shelf(segment, self._snapshot.visible(segment, query.exclude, query.where), effort=effort)
            for segment in self._snapshot.searchable
        ]
