"""A library in Milvus, searched as a folder is."""

from collections.abc import Iterable, Iterator
from operator import attrgetter

import numpy as np

from sora_video.base.errors import LibraryError
from sora_video.pretrain.encoders.embeddings import Embeddings

from ..info import StoreInfo, VideoInfo
from ..query import Query
from ..search.compare import Comparisons
from ..search.search import Hit, Matches
from ..searched import SearchedLibrary
from ..store.attributes import Attributes, Value
from ..store.block import Block
from ..store.filters import Where, check_order
from ..store.manifest import Manifest
from ..store.video_source import VideoSource, attributes_alone, source_of
from .collection import Collection
from .filters import attribute, expression_of, visible
from .nearest import find, find_many
from .rows import VIDEO, unpack
from .state import State
from .videos import ServedVideos

__all__ = ["MilvusLibrary"]


class MilvusLibrary(SearchedLibrary):
    """A library that :func:`.push.push_library` wrote to a Milvus server.

    Each answer is of one commit; where a push commits meanwhile, the server is asked again.

    Args:
        address: ``milvus://HOST:PORT/COLLECTION``.

    Raises:
        ConfigError: it is no address, or the client of Milvus is not installed.
        LibraryError: the server is away, or has no such library.
    """

    def __init__(self, address: str) -> None:
        self._collection = Collection.open(address)
        self._collection.connection.call("load_collection", self._collection.name)
        self._videos = ServedVideos(self._collection)
        self._comparisons = Comparisons(self._videos)

    def __str__(self) -> str:
        return str(self._collection.address)

    @property
    def _manifest(self) -> Manifest:
        return self._collection.state.manifest

    @property
    def folder(self) -> None:
        """It has none on this machine."""
        return None

    @property
    def model(self) -> str | None:
        """Spec of the encoder as the machine that pushed knew it; None: unknown."""
        return self._manifest.model

    def __len__(self) -> int:
        """Slices that can be searched."""
        return self._collection.state.slices

    def videos(self) -> list[str]:
        """The videos that can be searched, sorted.

        Raises:
            LibraryError: the server is away.
        """
        return [video.video_id for video in self.list_videos()]

    def sources(self, video_ids: Iterable[str]) -> dict[str, VideoSource | None]:
        """Where videos came from, on the machine that pushed them.

        Args:
            video_ids: videos of the library.

        Returns:
            By video; None where that is unknown.

        Raises:
            LibraryError: the library does not hold one of them, or the server is away.
        """
        blocks = self._videos.blocks([*video_ids])
        return {
            member.video_id: self._source(member.attributes) for block in blocks for member in block.members
        }

    def _source(self, stored: Attributes) -> VideoSource | None:
        """The source of a video with its stored attributes."""
        root = self._manifest.root
        return source_of(stored) or (None if root is None else VideoSource(root))

    def list_videos(self, where: Where | None = None) -> list[VideoInfo]:
        """The videos that can be searched, by name, with where they came from and their attributes.

        Args:
            where: only those of which a slice passes this filter; None: all.

        Raises:
            LibraryError: the server is away, or the filter cannot be asked.
        """
        if where is not None:
            check_order(where, self._values_of)
        return sorted(
            self._collection.read(lambda state: self._listed(state, where)), key=attrgetter("video_id")
        )

    def _listed(self, state: State, where: Where | None) -> list[VideoInfo]:
        """The videos of one commit."""
        by_time = where is not None and (where.start_s, where.end_s) != (Where().start_s, Where().end_s)
        expression = expression_of(state, (), where) + ("" if by_time else " and position == 0")
        rows = {
            row["video_id"]: row for row in self._collection.connection.rows(self._name, expression, VIDEO)
        }
        return [video_info(row, self._source(unpack(row["attributes"]))) for row in rows.values()]

    @property
    def _name(self) -> str:
        return self._collection.name

    def _values_of(self, name: str) -> Iterator[tuple[str, Value]]:
        """Some videos that have an attribute, with its value: one of each kind."""
        for kind in ("number", "text", "is"):
            expression = f"{visible(self._collection.state)} and exists {attribute(kind, name)}"
            for row in self._collection.connection.call(
                "query", self._name, filter=expression, output_fields=VIDEO, limit=1
            ):
                yield row["video_id"], unpack(row["attributes"])[name]

    def embeddings(self, video_id: str) -> Embeddings:
        """The slices of a video, with their vectors as they are stored.

        Args:
            video_id: a video of the library.

        Raises:
            LibraryError: the library does not hold it, or the server is away.
        """
        block = self._block(video_id)
        _, slice_no, start_s, end_s, still = block.slices
        return Embeddings(
            video_id=np.full(len(slice_no), video_id, object),
            slice_no=slice_no,
            start_s=start_s,
            end_s=end_s,
            vectors=block.vectors,
            still=still,
            fingerprint=self.fingerprint,
            aspects=self.aspects,
        )

    def _block(self, video_id: str) -> Block:
        """One video."""
        (block,) = self._videos.blocks([video_id])
        return block

    def slice(self, slice_id: int) -> Embeddings:
        """One slice, with its vector as it is stored.

        Args:
            slice_id: its stable id, as a hit names it.

        Returns:
            A table of one row.

        Raises:
            LibraryError: the library does not hold it, or the server is away.
        """
        rows = self._collection.read(
            lambda state: self._collection.connection.call(
                "query",
                self._name,
                filter=f"{visible(state)} and slice_id == {slice_id}",
                output_fields=["video_id", "position"],
                limit=1,
            )
        )
        if not rows:
            raise LibraryError(f"library {self}: has no slice {slice_id}; correct the number")
        return self.embeddings(rows[0]["video_id"]).select([rows[0]["position"]])

    def info(self) -> StoreInfo:
        """The library in numbers.

        Raises:
            LibraryError: the server is away.
        """
        state, connection = self._collection.refresh(), self._collection.connection
        index = connection.call("describe_index", self._name, index_name="embedding")
        return StoreInfo(
            videos=state.videos,
            slices=state.slices,
            dim=self.dim,
            precision=state.manifest.precision,
            index_type=str(index["index_type"]),
            fingerprint=self.fingerprint,
            model=self.model,
            aspects=tuple(aspect.name for aspect in self.aspects),
        )

    def search(self, query: Query) -> list[Hit]:
        """Find the videos with the slices most like those of a query, as well as the server's index can.

        Args:
            query: slices to look for together; a video's cosine is that of its best pair with any of them.

        Returns:
            A hit a video, by falling cosine, those of equal cosine by name.

        Raises:
            ConfigError: the library does not have the aspect that the query asks by.
            FingerprintError: another encoder made the query.
            LibraryError: the query or its filter cannot be asked, or the server is away.
        """
        return find(self._collection, query, self._checked(query))

    def search_many(self, query: Query) -> Matches:
        """Find the best videos of each of thousands of slices.

        Args:
            query: Q slices, each searched for alone.

        Returns:
            Arrays of (Q, top), best first.

        Raises:
            ConfigError: the library does not have the aspect that the query asks by.
            FingerprintError: another encoder made the query.
            LibraryError: the query or its filter cannot be asked, or the server is away.
        """
        return find_many(self._collection, query, self._checked(query).vectors)

    def _checked(self, query: Query) -> Embeddings:
        """The slices of a query that can be asked, so that inner products are cosines by what it asks by."""
        self.check(query.embeddings)
        if query.where is not None:
            check_order(query.where, self._values_of)
        return self._asked(query)


def video_info(row: dict[str, object], source: VideoSource | None) -> VideoInfo:
    """A video to show, from one of its rows."""
    name = str(row["video_id"])
    return VideoInfo(
        video_id=name,
        slices=int(str(row["slices"])),
        source=source and source.root,
        path=source and str(source.path(name)),
        attributes=attributes_alone(unpack(row["attributes"])),  # type: ignore[arg-type]
    )
