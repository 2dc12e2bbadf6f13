"""What searches ask of a library, wherever it is: in a folder, in several, or in Milvus."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Protocol

from sora_video.pretrain.encoders.aspects import Aspect
from sora_video.pretrain.encoders.embeddings import Embeddings

from .info import StoreInfo, VideoInfo
from .query import Query
from .search.compare import Comparison
from .search.search import Hit, Matches
from .store.filters import Where
from .store.video_source import VideoSource

__all__ = ["Store"]


class Store(Protocol):
    """A library that is searched: :class:`.OpenedLibrary` in a folder, :class:`.MilvusLibrary` on a server.

    The methods are those of :class:`.OpenedLibrary`, which says what they take, give and raise.
    """

    @property
    def folder(self) -> Path | None:
        """Where it lies on this machine; None: it is several, or on a server."""

    @property
    def fingerprint(self) -> str:
        """Of the encoder whose embeddings it holds."""

    @property
    def dim(self) -> int:
        """Dimension of the embeddings."""

    @property
    def aspects(self) -> tuple[Aspect, ...]:
        """Spans of the embeddings that they can be compared by alone."""

    @property
    def model(self) -> str | None:
        """Spec of the encoder, where one is known."""

    def __len__(self) -> int:
        """Slices that can be searched."""

    def videos(self) -> list[str]:
        """The videos, sorted."""

    def sources(self, video_ids: Iterable[str]) -> dict[str, VideoSource | None]:
        """Where videos came from."""

    def list_videos(self, where: Where | None = None) -> list[VideoInfo]:
        """The videos by name, with where they came from and their attributes."""

    def embeddings(self, video_id: str) -> Embeddings:
        """The slices of a video, with their vectors."""

    def slice(self, slice_id: int) -> Embeddings:
        """One slice, with its vector."""

    def aspect(self, by: str | None, aspects: Sequence[Aspect] = ()) -> Aspect | None:
        """An aspect of the embeddings."""

    def comparison(
        self, by: str | None = None, aspects: Sequence[Aspect] = (), is_mild: bool = False
    ) -> Comparison:
        """What compares queries with videos by likeness."""

    def check(self, embeddings: Embeddings) -> None:
        """Refuse embeddings that cannot be searched for."""

    def search(self, query: Query) -> list[Hit]:
        """The videos with the slices most like those of a query."""

    def search_many(self, query: Query) -> Matches:
        """The best videos of each of thousands of slices."""

    def info(self) -> StoreInfo:
        """The library in numbers."""
