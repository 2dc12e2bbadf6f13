"""The library: a folder of immutable segments, and what adding, removing and searching do to it.

manifest.json                  what belongs to the library; renamed into place at each commit
lock                           held by the one process that writes
verified.json                  which large files were verified; losing it loses nothing
segments/000001.vectors.faiss  vectors, as a FAISS index that is searched exactly
segments/000001.slices.sqlite  their videos, attributes and slices
segments/000001.index.faiss    an approximate index, where one was built
attributes/000002.json         attributes edited since their segments were written
whitening/0123….safetensors    what likeness is measured by, fitted at commit
frames/0123….npz               times of the frames of videos; losing them loses nothing
"""

import dataclasses
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from sora_video.base.errors import LibraryError, StorageError
from sora_video.pretrain.encoders.aspects import Aspect
from sora_video.pretrain.encoders.embeddings import Embeddings
from sora_video.pretrain.encoders.spec import near_spec

from . import repair as reparation
from .repair import Repair
from .store import compact as compaction
from .store import ignored as ignoring
from .store import purge as purging
from .store import update
from .store.add import Added, Adding, Addition
from .store.attributes import Attributes, Value
from .store.export import import_library
from .store.files import Checks, Damage
from .store.manifest import Manifest, read_manifest, sweep, write_manifest, writer_lock
from .store.opening import open_snapshot
from .store.place import check_free
from .store.refresh import with_whitening
from .store.snapshot import Snapshot
from .store.vectors import PRECISIONS
from .store.video_source import VideoSource, check_prefix
from .stored import StoredLibrary
from .tune import tune as tuning
from .tune.target import Target

__all__ = ["Library"]


class Library(StoredLibrary):
    """Embeddings of slices on disk, searchable by likeness.

    An opened library is what was committed when it was opened or last written through this object. Any number
    of processes may read while one writes; writers wait for each other. Use :meth:`create` or :meth:`open`.
    """

    @classmethod
    def create(
        cls,
        path: str | Path,
        fingerprint: str,
        dim: int,
        precision: str = "fp32",
        aspects: Sequence[Aspect] = (),
    ) -> "Library":
        """Make an empty library.

        Args:
            path: the folder; it must not exist, or be empty.
            fingerprint: of the encoder whose embeddings it will hold.
            dim: their dimension.
            precision: in which vectors are stored, ``fp32`` or ``fp16``, which takes half the space.
            aspects: of these embeddings.

        Raises:
            LibraryError: the folder holds something, ``dim`` is below 1, or there is no such precision.
            StorageError: the disk refused the write.
        """
        path = Path(path).expanduser()
        if dim < 1:
            raise LibraryError(f"library {path}: dim={dim}: must be at least 1")
        if precision not in PRECISIONS:
            raise LibraryError(f"precision={precision}: must be {' or '.join(PRECISIONS)}")
        check_free(path)
        manifest = Manifest(fingerprint=fingerprint, dim=dim, precision=precision, aspects=tuple(aspects))
        write_manifest(path, manifest)
        return cls(path, open_snapshot(Checks(path), manifest))

    @classmethod
    def open(cls, path: str | Path) -> "Library":
        """Open a library as it is now; its files are verified first.

        Raises:
            LibraryError: there is none, or its manifest is damaged.
        """
        return cls._opened(Path(path).expanduser())

    @classmethod
    def _opened(cls, path: Path, before: Snapshot | None = None) -> "Library":
        """Open a library; segments that an earlier snapshot has are not read again."""
        manifest = read_manifest(path)
        while True:
            library = cls(path, open_snapshot(Checks(path), manifest, before))
            now = read_manifest(path) if library.damage else manifest
            if now == manifest:
                return library
            manifest = now  # a writer has compacted since, so that files were gone before they were opened

    def reopened(self) -> "Library":
        """The library as it is on the disk now; this object stays as it is.

        Segments that have not changed are not read again.

        Raises:
            LibraryError: there is none any more, or its manifest is damaged.
        """
        return self._opened(self.path, self._snapshot)

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

    def add(
        self,
        embeddings: Embeddings,
        model: str | Path | None = None,
        content: Mapping[str, str] | None = None,
        attributes: Mapping[str, Attributes] | None = None,
        root: str | Path | None = None,
        prefix: str = "",
        replace: bool = False,
    ) -> Added:
        """Add videos in one commit; one that is there already is replaced if its content changed.

        Small segments are merged after it, in a commit of their own; if that fails, a later call does it.

        Args:
            embeddings: all slices of the videos to add.
            model: spec of their encoder, to remember; None leaves what is remembered, and where that is
                nothing takes that of the embeddings.
            content: by video, a key that changes with its content; where it is missing, the SHA-256 of its
                times and vectors.
            attributes: to set, by video, of those that are added and of others; a video keeps all that it has
                and that is not named.
            root: folder below which the videos lie by their names, to remember; None: that of the embeddings.
            prefix: what their names have before their paths below ``root``, without the last ``/``.
            replace: replace videos of the same names that came from other files, too.

        Returns:
            How many were added, replaced and left unchanged.

        Raises:
            FingerprintError: another encoder made them.
            LibraryError: a vector is not L2-normalised, a name or the number or time of a slice cannot be, an
                attribute cannot be kept, the library is damaged, or a name is taken by another file's video.
            StorageError: the disk refused the write; the library is as it was.
        """
        given = Addition(
            embeddings,
            video_source(embeddings.root if root is None else root, prefix),
            content or {},
            attributes or {},
        )
        return self._add([given], len(embeddings), model, replace)

    def add_tables(
        self,
        tables: Iterable[Embeddings],
        rows: int,
        model: str | Path | None = None,
        prefix: str = "",
        replace: bool = False,
    ) -> Added:
        """Add the videos of many tables in one commit, as :meth:`add` does; one table at a time is in memory.

        Args:
            tables: each of whole videos; no video is in two of them.
            rows: that they have together, as far as it is known; a wrong number costs time.
            model: see :meth:`add`.
            prefix: see :meth:`add`.
            replace: see :meth:`add`.

        Returns:
            How many were added, replaced and left unchanged.

        Raises:
            SoraError: see :meth:`add`; or the tables cannot be read.
        """
        additions = (Addition(table, video_source(table.root, prefix)) for table in tables)
        return self._add(additions, rows, model, replace)

    def _add(
        self, additions: Iterable[Addition], rows: int, model: str | Path | None, replace: bool
    ) -> Added:
        """Add videos in one commit."""
        with self._writing() as snapshot:
            adding = Adding(snapshot, replace)
            manifest = adding.write(additions, rows)
            named = adding.model if model is None and manifest.model is None else model
            remembered = manifest.model if named is None else near_spec(named, self.path)
            self._commit(snapshot, dataclasses.replace(manifest, model=remembered, aspects=adding.aspects))
            self._merge_small()
        return adding.added

    def check_names(self, content: Mapping[str, str], root: str | Path, prefix: str = "") -> None:
        """Refuse videos to add whose names are taken by other files, as :meth:`add` does.

        Args:
            content: by video, a key that changes with its content.
            root: folder below which the videos lie.
            prefix: what their names have before their paths below ``root``.

        Raises:
            LibraryError: one is taken, or the library is damaged.
        """
        held = self._snapshot.find(content)
        changed = {name: found for name, found in held.items() if found.entry.content != content[name]}
        update.refuse_clashes(self._snapshot, changed, video_source(root, prefix))

    def _merge_small(self) -> None:
        """Merge small segments where there are many, in a commit of its own; a failure changes nothing."""
        before = self._snapshot
        with suppress(LibraryError, StorageError):
            merged = compaction.merge_small(before)
            if merged != before.manifest:
                self._commit(before, merged)
                sweep(self.path, self._snapshot.manifest)

    def remove(self, video_ids: str | Iterable[str], *, purge: bool = False, ignore: bool = False) -> None:
        """Hide videos in one commit, or erase them.

        Args:
            video_ids: one or more.
            purge: erase their vectors, rows, attributes and names at once, and those that were hidden
                before; otherwise compaction reclaims their space. Segments that had them lose their
                approximate indexes.
            ignore: keep them from being added again, under these names or with these contents, until
                :meth:`lift`. Names of what is purged are kept as salted hashes only.

        Raises:
            LibraryError: the library does not hold one of them, or is damaged; nothing is removed then.
            StorageError: the disk refused the write; the library is as it was.
        """
        names = frozenset([video_ids] if isinstance(video_ids, str) else video_ids)
        with self._writing() as snapshot:
            manifest = (purging.purge if purge else update.remove)(snapshot, names)
            if ignore:
                manifest = ignoring.ignore(manifest, purging.contents_in(snapshot, names))
            if purge:
                manifest = ignoring.without_names(manifest, names)
            self._commit(snapshot, manifest)
            if purge:
                sweep(self.path, self._snapshot.manifest)

    def lift(self, wanted: str | Iterable[str]) -> None:
        """Let videos be added again that were not to come back, in one commit.

        Args:
            wanted: their names, or first digits, at least 6, of the keys by which :attr:`ignored` knows them.

        Raises:
            LibraryError: one is not ignored, or the manifest is damaged; nothing is lifted then.
            StorageError: the disk refused the write; the library is as it was.
        """
        names = frozenset([wanted] if isinstance(wanted, str) else wanted)
        with self._writing() as snapshot:
            self._commit(snapshot, ignoring.lift(snapshot.manifest, names, self.path))

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

    def repair(self, drop: Collection[Damage] = ()) -> Repair:
        """Rebuild what can be rebuilt from the vectors, in one commit.

        Args:
            drop: damage to give up, as :attr:`Repair.left` of another call named it: segments whose vectors
                or table are damaged, and damaged attributes. Empty: nothing is deleted.

        Raises:
            LibraryError: something else is damaged that ``drop`` does not name; nothing is deleted.
            StorageError: the disk refused the write; the library is as it was.
        """
        with self._writing() as snapshot:
            manifest, result = reparation.repair(snapshot, drop)
            self._commit(snapshot, manifest)
            sweep(self.path, self._snapshot.manifest)
        return result

    def tune(self, target: Target) -> None:
        """Compact, and choose an index by measurement; see :mod:`sora_video.index.tune.choose`.

        What is added later is searched exactly beside it, until the next call.

        Args:
            target: recall, memory and latency to reach.

        Raises:
            LibraryError: no index reaches that, or the library is damaged; the library is as it was.
            StorageError: the disk refused the write; the library is as it was.
        """
        with self._writing() as snapshot:
            try:
                compacted = open_snapshot(Checks(self.path), compaction.compact(snapshot), snapshot)
                self._commit(snapshot, tuning.tune(compacted, target))
            finally:
                sweep(self.path, read_manifest(self.path))

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
            after = dataclasses.replace(after, manifest=committed)
            if committed.whitening != before.manifest.whitening:
                sweep(self.path, committed)
        self._show(after)


def video_source(root: str | Path | None, prefix: str) -> VideoSource | None:
    """The source to remember of videos; None: their folder is not known."""
    return None if root is None else VideoSource(absolute(root), check_prefix(prefix))


def absolute(path: str | Path) -> str:
    """A path to remember."""
    return str(Path(path).expanduser().absolute())
