"""The library: a folder of immutable segments, and what adding, removing and searching do to it.

manifest.json            what belongs to the library; renamed into place at each commit
lock                     held by the one process that writes
segments/000001.faiss    vectors, as a FAISS index
segments/000001.parquet  their slices: ids, videos, times
"""

from collections.abc import Iterable, Iterator, Set
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from sora_video.configs.errors import LibraryError
from sora_video.pretrain.embeddings import Embeddings

from .guard import check_embeddings, check_names
from .manifest import (
    Manifest,
    SegmentRecord,
    read_manifest,
    sweep,
    write_manifest,
    writer_lock,
)
from .search import Hit, find
from .segment import Segment, write_segment

__all__ = ["Library", "LibraryInfo", "check_free"]


@dataclass(frozen=True, kw_only=True)
class LibraryInfo:
    """A library in numbers."""

    videos: int
    slices: int
    """Visible slices."""
    segments: int
    removed_slices: int
    """Slices that are hidden but still on the disk."""
    bytes: int
    """Size of the segments on the disk."""
    bytes_per_slice: float
    """Bytes for each visible slice; 0 without slices."""
    dim: int
    index_type: str
    fingerprint: str


class Library:
    """Embeddings of slices on disk, searchable by likeness.

    An opened library is what was committed when it was opened or last written through this object. Any number
    of processes may read while one writes; writers wait for each other. Use :meth:`create` or :meth:`open`.
    """

    def __init__(self, path: Path, manifest: Manifest) -> None:
        self.path, self._manifest = path, manifest
        self._segments: dict[str, Segment] = {}

    @classmethod
    def create(cls, path: str | Path, fingerprint: str, dim: int) -> "Library":
        """Make an empty library.

        Args:
            path: the folder; it must not exist, or be empty.
            fingerprint: of the encoder whose embeddings it will hold.
            dim: their dimension.

        Raises:
            LibraryError: the folder holds something, or ``dim`` is below 1.
            StorageError: the disk refused the write.
        """
        path = Path(path)
        if dim < 1:
            raise LibraryError(f"library {path}: dim={dim}: must be at least 1")
        check_free(path)
        manifest = Manifest(fingerprint=fingerprint, dim=dim)
        write_manifest(path, manifest)
        return cls(path, manifest)

    @classmethod
    def open(cls, path: str | Path) -> "Library":
        """Open a library as it is now. Segments are read and verified when they are first needed.

        Raises:
            LibraryError: there is none, or its manifest is damaged.
        """
        return cls(Path(path), read_manifest(Path(path)))

    @property
    def fingerprint(self) -> str:
        """Of the encoder whose embeddings it holds."""
        return self._manifest.fingerprint

    @property
    def dim(self) -> int:
        """Dimension of the embeddings."""
        return self._manifest.dim

    @property
    def model(self) -> str | None:
        """Run folder of the encoder, where one was named; it may have moved since."""
        return self._manifest.model

    def __len__(self) -> int:
        """Visible slices."""
        return sum(record.rows - sum(record.removed.values()) for record in self._manifest.segments)

    def videos(self) -> list[str]:
        """The videos it holds, sorted.

        Raises:
            LibraryError: a segment is missing or damaged.
        """
        return sorted(self._visible(self._manifest))

    def info(self) -> LibraryInfo:
        """The library in numbers.

        Raises:
            LibraryError: a segment is missing or damaged.
        """
        records, slices = self._manifest.segments, len(self)
        size = sum(file.size for record in records for file in record.files)
        return LibraryInfo(
            videos=len(self.videos()),
            slices=slices,
            segments=len(records),
            removed_slices=sum(record.rows for record in records) - slices,
            bytes=size,
            bytes_per_slice=size / slices if slices else 0.0,
            dim=self.dim,
            index_type="Flat",
            fingerprint=self.fingerprint,
        )

    def add(self, embeddings: Embeddings, model: str | Path | None = None) -> None:
        """Add videos in one commit; those that are there already are replaced.

        Args:
            embeddings: all slices of the videos to add.
            model: run folder of their encoder, to remember; None leaves what is remembered.

        Raises:
            FingerprintError: another encoder made them.
            LibraryError: a vector is not L2-normalised, a name is not UTF-8, or the library is damaged.
            StorageError: the disk refused the write; the library is as it was.
        """
        with self._writing() as manifest:
            check_embeddings(embeddings, "the embeddings to add", manifest)
            check_names(embeddings)
            records = self._hide(manifest.segments, set(embeddings.videos()))
            if len(embeddings):
                number, first = manifest.next_segment, manifest.next_slice_id
                records = (*records, write_segment(self.path, number, embeddings, first))
            self._commit(
                replace(
                    manifest,
                    model=manifest.model if model is None else str(Path(model).absolute()),
                    next_slice_id=manifest.next_slice_id + len(embeddings),
                    next_segment=manifest.next_segment + 1,
                    segments=records,
                )
            )

    def remove(self, video_ids: str | Iterable[str]) -> None:
        """Hide videos in one commit.

        Args:
            video_ids: one or more.

        Raises:
            LibraryError: the library does not hold one of them, or is damaged; nothing is removed then.
            StorageError: the disk refused the write; the library is as it was.
        """
        leaving = as_set(video_ids)
        with self._writing() as manifest:
            unknown = sorted(leaving - self._visible(manifest))
            if unknown:
                names = ", ".join(unknown)
                raise LibraryError(
                    f"library {self.path}: holds no video {names}; nothing is removed, mend the name"
                )
            self._commit(replace(manifest, segments=self._hide(manifest.segments, leaving)))

    def search(self, query: Embeddings, top: int = 10, exclude: str | Iterable[str] = ()) -> list[Hit]:
        """Find the videos with the slices most like those of a query, by exact search.

        Args:
            query: slices of one query; a video's score is that of its best pair with any of them.
            top: most videos to find.
            exclude: videos to leave out, whether the library holds them or not.

        Returns:
            A hit a video, by falling score, those of equal score by name.

        Raises:
            FingerprintError: another encoder made the query.
            LibraryError: ``top`` is below 1, the query is not L2-normalised, or the library is damaged.
        """
        if top < 1:
            raise LibraryError(f"top={top}: must be at least 1; ask for one video or more")
        check_embeddings(query, "the query", self._manifest)
        excluded = as_set(exclude)
        records = self._manifest.segments
        return find(
            [(self._segment(record), record.removed.keys() | excluded) for record in records], query, top
        )

    def _segment(self, record: SegmentRecord) -> Segment:
        """A segment, read once for the life of this object; no two slice tables are the same."""
        return self._segments.setdefault(record.slices.sha256, Segment(self.path, record))

    def _visible(self, manifest: Manifest) -> set[str]:
        """The videos that a manifest does not hide."""
        return {
            video_id
            for record in manifest.segments
            for video_id in self._segment(record).videos
            if video_id not in record.removed
        }

    def _hide(self, records: Iterable[SegmentRecord], videos: Set[str]) -> tuple[SegmentRecord, ...]:
        """The same segments with some videos hidden."""
        return tuple(
            replace(record, removed={**record.removed, **self._segment(record).rows_of(videos)})
            for record in records
        )

    @contextmanager
    def _writing(self) -> Iterator[Manifest]:
        """Hold the writer lock, with the manifest that the last writer committed."""
        with writer_lock(self.path):
            manifest = read_manifest(self.path)
            sweep(self.path, manifest)
            yield manifest

    def _commit(self, manifest: Manifest) -> None:
        """Make a manifest the library, here and on the disk."""
        write_manifest(self.path, manifest)
        self._manifest = manifest


def check_free(path: Path) -> None:
    """Refuse a place where a new library would mix with what is there.

    Raises:
        LibraryError: it is a file, or a folder that is not empty.
    """
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise LibraryError(f"library {path}: exists already; add to it, or choose another folder")


def as_set(video_ids: str | Iterable[str]) -> frozenset[str]:
    """One name or many as a set."""
    return frozenset([video_ids] if isinstance(video_ids, str) else video_ids)
