"""The library: a folder of immutable segments, and what adding, removing and searching do to it.

manifest.json                  what belongs to the library; renamed into place at each commit
lock                           held by the one process that writes
verified.json                  which large files were verified; losing it loses nothing
segments/000001.vectors.faiss  vectors, as a FAISS index that is searched exactly
segments/000001.slices.sqlite  their videos, attributes and slices
segments/000001.index.faiss    an approximate index, where one was built
attributes/000002.json         attributes edited since their segments were written
whitening/0123….safetensors    what likeness is measured by, fitted at commit
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sora_video.base.errors import LibraryError
from sora_video.pretrain.encoders.embeddings import Embeddings

from . import repair as reparation
from . import verify as verification
from .repair import Repair
from .search.compare import Comparison
from .search.search import Hit, Matches, find, find_many
from .search.shelf import Shelf
from .store import compact as compaction
from .store import update
from .store.export import export_library, import_library
from .store.files import Checks, Damage
from .store.filters import Attributes, Value, Where
from .store.guard import check_embeddings, check_names, check_top, check_vectors
from .store.manifest import Manifest, read_manifest, sweep, write_manifest, writer_lock
from .store.place import check_free
from .store.refresh import with_whitening
from .store.snapshot import Snapshot, open_snapshot
from .store.update import Added
from .store.vectors import PRECISIONS
from .tune import tune as tuning
from .tune.choose import Wish
from .verify import Verification

__all__ = ["Library", "LibraryInfo", "open_library"]


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
    precision: str
    index_type: str
    fingerprint: str
    indexes: tuple[dict[str, Any], ...]
    """The approximate indexes: segment, kind, parameters and measured recall of each."""


class Library:
    """Embeddings of slices on disk, searchable by likeness.

    An opened library is what was committed when it was opened or last written through this object. Any number
    of processes may read while one writes; writers wait for each other. Use :meth:`create` or :meth:`open`.

    Damage does not close a library: what is whole can be searched, and :attr:`damage` names the rest.
    """

    def __init__(self, path: Path, manifest: Manifest) -> None:
        self.path = path
        self._show(open_snapshot(Checks(path), manifest))

    def _show(self, snapshot: Snapshot) -> None:
        """Answer from a snapshot from now on."""
        self._snapshot, self.comparison = snapshot, Comparison(snapshot)

    @classmethod
    def create(cls, path: str | Path, fingerprint: str, dim: int, precision: str = "fp32") -> "Library":
        """Make an empty library.

        Args:
            path: the folder; it must not exist, or be empty.
            fingerprint: of the encoder whose embeddings it will hold.
            dim: their dimension.
            precision: in which vectors are stored, ``fp32`` or ``fp16``, which takes half the space.

        Raises:
            LibraryError: the folder holds something, ``dim`` is below 1, or there is no such precision.
            StorageError: the disk refused the write.
        """
        path = Path(path).expanduser()
        if dim < 1:
            raise LibraryError(f"library {path}: dim={dim}: must be at least 1")
        if precision not in PRECISIONS:
            raise LibraryError(f"library {path}: precision={precision}: must be {' or '.join(PRECISIONS)}")
        check_free(path)
        manifest = Manifest(fingerprint=fingerprint, dim=dim, precision=precision)
        write_manifest(path, manifest)
        return cls(path, manifest)

    @classmethod
    def open(cls, path: str | Path) -> "Library":
        """Open a library as it is now; its files are verified first.

        Raises:
            LibraryError: there is none, or its manifest is damaged.
        """
        path = Path(path).expanduser()
        manifest = read_manifest(path)
        while True:
            library = cls(path, manifest)
            now = read_manifest(path) if library.damage else manifest
            if now == manifest:
                return library
            manifest = now  # a writer has compacted since, so that files were gone before they were opened

    @classmethod
    def from_export(cls, path: str | Path, source: str | Path) -> "Library":
        """Make a library of what :meth:`export` wrote; it appears whole or not at all.

        Args:
            path: the library's folder; it must not exist, or be empty.
            source: the Parquet file.

        Raises:
            LibraryError: the folder holds something, or the file is no export of a library.
            StorageError: the disk refused the write.
        """
        return cls.open(import_library(path, source))

    @property
    def fingerprint(self) -> str:
        """Of the encoder whose embeddings it holds."""
        return self._snapshot.manifest.fingerprint

    @property
    def dim(self) -> int:
        """Dimension of the embeddings."""
        return self._snapshot.manifest.dim

    @property
    def model(self) -> str | None:
        """Run folder of the encoder, where one was named; it may have moved since."""
        return self._snapshot.manifest.model

    @property
    def root(self) -> str | None:
        """Folder below which the videos added last lie, where it is known; it may have moved since."""
        return self._snapshot.manifest.root

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

        Raises:
            LibraryError: the library does not hold it, or is damaged.
        """
        return self._snapshot.find_all([video_id])[video_id].attributes

    def embeddings(self, video_id: str) -> Embeddings:
        """The slices of a video, with their vectors as they are stored.

        Raises:
            LibraryError: the library does not hold it, or is damaged.
        """
        return self._snapshot.embeddings(self._snapshot.find_all([video_id])[video_id])

    def contents(self, video_ids: Iterable[str]) -> dict[str, str]:
        """SHA-256 of the content of those of some videos that are held; see :meth:`add`.

        Raises:
            LibraryError: the library is damaged.
        """
        return {name: held.entry.content for name, held in self._snapshot.find(list(video_ids)).items()}

    def info(self) -> LibraryInfo:
        """The library in numbers; what is damaged is not counted."""
        segments = self._snapshot.searchable
        slices, size = len(self), sum(file.size for segment in segments for file in segment.record.files)
        kinds = {segment.record.index.kind if segment.record.index else "Flat" for segment in segments}
        return LibraryInfo(
            videos=sum(segment.table.videos - len(segment.record.removed) for segment in segments),
            slices=slices,
            segments=len(segments),
            removed_slices=sum(segment.record.rows for segment in segments) - slices,
            bytes=size,
            bytes_per_slice=size / slices if slices else 0.0,
            dim=self.dim,
            precision=self._snapshot.manifest.precision,
            index_type=" and ".join(sorted(kinds)) or "Flat",
            fingerprint=self.fingerprint,
            indexes=tuple(
                {"segment": record.name, **asdict(record.index)}
                for record in (segment.record for segment in segments)
                if record.index
            ),
        )

    def add(
        self,
        embeddings: Embeddings,
        model: str | Path | None = None,
        content: Mapping[str, str] | None = None,
        attributes: Mapping[str, Attributes] | None = None,
        root: str | Path | None = None,
    ) -> Added:
        """Add videos in one commit; one that is there already is replaced if its content changed.

        Args:
            embeddings: all slices of the videos to add.
            model: run folder of their encoder, to remember; None leaves what is remembered.
            content: by video, a key that changes with its content; where it is missing, the SHA-256 of its
                times and vectors.
            attributes: to set, by video, of those that are added and of others; a video keeps all that it has
                and that is not named.
            root: folder below which the videos lie by their names, to remember as ``model`` is.

        Returns:
            How many were added, replaced and left unchanged.

        Raises:
            FingerprintError: another encoder made them.
            LibraryError: a vector is not L2-normalised, a name is not UTF-8, an attribute cannot be kept, or
                the library is damaged.
            StorageError: the disk refused the write; the library is as it was.
        """
        with self._writing() as snapshot:
            check_embeddings(embeddings, "the embeddings to add", snapshot.manifest)
            check_names(embeddings)
            manifest, added = update.add(snapshot, embeddings, content or {}, attributes or {})
            manifest = replace(manifest, model=hint(model, manifest.model), root=hint(root, manifest.root))
            merged = compaction.merge_small(open_snapshot(Checks(self.path), manifest, snapshot))
            self._commit(snapshot, merged)
            if merged != manifest:
                sweep(self.path, merged)
        return added

    def remove(self, video_ids: str | Iterable[str]) -> None:
        """Hide videos in one commit; compaction reclaims their space.

        Args:
            video_ids: one or more.

        Raises:
            LibraryError: the library does not hold one of them, or is damaged; nothing is removed then.
            StorageError: the disk refused the write; the library is as it was.
        """
        with self._writing() as snapshot:
            self._commit(snapshot, update.remove(snapshot, as_set(video_ids)))

    def set_attributes(self, changes: Mapping[str, Mapping[str, Value | None]]) -> None:
        """Edit attributes of videos in one commit.

        Args:
            changes: by video, the values to set by name; None takes an attribute away.

        Raises:
            LibraryError: the library does not hold one of the videos, is damaged, or cannot keep a value.
            StorageError: the disk refused the write; the library is as it was.
        """
        with self._writing() as snapshot:
            self._commit(snapshot, update.edit(snapshot, changes))

    def compact(self, max_rows: int | None = None) -> None:
        """Merge segments into one, in one commit: hidden slices leave the disk, the others keep their ids.

        Args:
            max_rows: leave segments with more slices than these alone; None: merge all.

        Raises:
            LibraryError: a segment to merge is damaged.
            StorageError: the disk refused the write; the library is as it was.
        """
        with self._writing() as snapshot:
            self._commit(snapshot, compaction.compact(snapshot, max_rows))
            sweep(self.path, self._snapshot.manifest)

    def verify(self) -> Verification:
        """Read every byte on the disk, and compare the parts with each other.

        Raises:
            LibraryError: the manifest is damaged.
        """
        return verification.verify(self.path)

    def repair(self, drop: bool = False) -> Repair:
        """Rebuild what can be rebuilt from the vectors, in one commit.

        Args:
            drop: give up what cannot be rebuilt: segments whose vectors or table are damaged.

        Raises:
            StorageError: the disk refused the write; the library is as it was.
        """
        with self._writing() as snapshot:
            manifest, result = reparation.repair(snapshot, drop)
            self._commit(snapshot, manifest)
            sweep(self.path, self._snapshot.manifest)
        return result

    def export(self, path: str | Path) -> None:
        """Write all that is visible as one Parquet file; see :meth:`from_export`.

        Raises:
            LibraryError: the file is not named ``.parquet``, or the library is damaged.
            StorageError: the disk refused the write.
        """
        export_library(self._snapshot, Path(path))

    def tune(self, wish: Wish) -> None:
        """Compact, and choose an index by measurement; see :mod:`sora_video.index.tune.choose`.

        What is added later is searched exactly beside it, until the next call.

        Args:
            wish: recall, memory and latency to reach.

        Raises:
            LibraryError: no index reaches that, or the library is damaged; the library is as it was.
            StorageError: the disk refused the write; the library is as it was.
        """
        with self._writing() as snapshot:
            try:
                compacted = open_snapshot(Checks(self.path), compaction.compact(snapshot), snapshot)
                self._commit(snapshot, tuning.tune(compacted, wish))
            finally:
                sweep(self.path, read_manifest(self.path))

    def search(
        self,
        query: Embeddings,
        top: int = 10,
        exclude: str | Iterable[str] = (),
        where: Where | None = None,
    ) -> list[Hit]:
        """Find the videos with the slices most like those of a query, exactly where no index was built.

        Args:
            query: slices of one query; a video's score is that of its best pair with any of them.
            top: most videos to find.
            exclude: videos to leave out, whether the library holds them or not.
            where: which slices may be found.

        Returns:
            A hit a video, by falling score, those of equal score by name.

        Raises:
            FingerprintError: another encoder made the query.
            LibraryError: ``top`` is below 1, or the query is not L2-normalised.
        """
        check_embeddings(query, "the query", self._snapshot.manifest)
        return find(self._shelves(top, exclude, where), query, top)

    def whiten(self, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
        """(N, D) vectors whitened by what the library holds; see :mod:`sora_video.index.store.whitening`."""
        return self._snapshot.whitening(vectors)

    def slice(self, slice_id: int) -> Embeddings:
        """One slice, with its vector as it is stored.

        Raises:
            LibraryError: the library does not hold it.
        """
        return self._snapshot.slice(slice_id)

    def search_like(
        self,
        slice_id: int,
        top: int = 10,
        exclude: str | Iterable[str] = (),
        where: Where | None = None,
    ) -> list[Hit]:
        """Find other videos with slices like one that the library holds; see :meth:`search`.

        Args:
            slice_id: of the slice; its own video is not found.
            top: most videos to find.
            exclude: further videos to leave out.
            where: which slices may be found.

        Raises:
            LibraryError: the library does not hold the slice, or ``top`` is below 1.
        """
        query = self.slice(slice_id)
        return self.search(query, top, as_set(exclude) | {query.video_id[0]}, where)

    def search_many(
        self,
        vectors: NDArray[np.float32],
        top: int = 10,
        exclude: str | Iterable[str] = (),
        where: Where | None = None,
    ) -> Matches:
        """Find the best videos of each of thousands of vectors.

        Args:
            vectors: (Q, D) L2-normalised queries of the library's encoder, which nobody can check here.
            top: most videos to find for each.
            exclude: videos to leave out.
            where: which slices may be found.

        Returns:
            Arrays of (Q, top), best first.

        Raises:
            LibraryError: ``top`` is below 1, or the vectors are of another dimension or not L2-normalised.
        """
        check_vectors(vectors, "the queries", self.dim)
        return find_many(self._shelves(top, exclude, where), vectors, top)

    def _shelves(self, top: int, exclude: str | Iterable[str], where: Where | None) -> list[Shelf]:
        """The segments, each with what may be found there."""
        check_top(top)
        return [
            Shelf(segment, self._snapshot.visible(segment, as_set(exclude), where))
            for segment in self._snapshot.searchable
        ]

    @contextmanager
    def _writing(self) -> Iterator[Snapshot]:
        """Hold the writer lock, with the library that the last writer committed."""
        with writer_lock(self.path):
            manifest = read_manifest(self.path)
            sweep(self.path, manifest)
            yield open_snapshot(Checks(self.path), manifest, self._snapshot)

    def _commit(self, before: Snapshot, manifest: Manifest) -> None:
        """Make a manifest the library, here and on the disk."""
        after = open_snapshot(Checks(self.path), manifest, before)
        if manifest != before.manifest:
            committed = with_whitening(after)
            write_manifest(self.path, committed)
            after = replace(after, manifest=committed)
            if committed.whitening != before.manifest.whitening:
                sweep(self.path, committed)
        self._show(after)


def open_library(path: str | Path, on_damage: Callable[[str], None]) -> Library:
    """Open a library, and tell what of it cannot be read.

    Args:
        path: its folder; ``~`` is the home folder.
        on_damage: is given a line for each damaged file.

    Returns:
        The library; searches go on without what is damaged.

    Raises:
        LibraryError: there is none, or its manifest is damaged.
    """
    library = Library.open(path)
    for damage in library.damage:
        on_damage(f"{path}: {damage}; it is left out, see `sora index repair`")
    return library


def hint(path: str | Path | None, before: str | None) -> str | None:
    """A path to remember, or the one that is remembered."""
    return before if path is None else str(Path(path).absolute())


def as_set(video_ids: str | Iterable[str]) -> frozenset[str]:
    """One name or many as a set."""
    return frozenset([video_ids] if isinstance(video_ids, str) else video_ids)
