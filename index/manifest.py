"""The manifest of a library: what belongs to it, file by file, and the one commit point.

A file that no manifest names does not exist for a reader: it is what a killed writer left behind. A change
is a new manifest renamed over the old one after all that it names is on the disk.
"""

import fcntl
import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from sora_video.configs.errors import LibraryError
from sora_video.configs.storage import storage_errors, write_bytes, write_json

__all__ = [
    "Manifest",
    "SegmentRecord",
    "StoredFile",
    "read_manifest",
    "store",
    "sweep",
    "write_manifest",
    "writer_lock",
]

FORMAT = "sora-video library"
VERSION = 1
METRIC = "inner_product"
NAME = "manifest.json"


@dataclass(frozen=True, kw_only=True)
class StoredFile:
    """One immutable file of a library."""

    name: str
    """Path relative to the library, with ``/``."""
    size: int
    """In bytes."""
    sha256: str

    def read(self, folder: Path) -> bytes:
        """Read the file and verify it.

        Args:
            folder: the library.

        Returns:
            Its content.

        Raises:
            LibraryError: the file is missing, or is not as it was written.
        """
        path = folder / self.name
        remedy = "restore it from a copy, or build the library again"
        try:
            data = path.read_bytes()
        except OSError as error:
            raise LibraryError(f"{path}: cannot be read: {error.strerror}; {remedy}") from error
        if len(data) != self.size:
            raise LibraryError(f"{path}: is damaged: {len(data)} bytes, expected {self.size}; {remedy}")
        if hashlib.sha256(data).hexdigest() != self.sha256:
            raise LibraryError(f"{path}: is damaged: its SHA-256 does not fit the manifest; {remedy}")
        return data


def store(folder: Path, name: str, data: bytes) -> StoredFile:
    """Write one file of a library.

    Raises:
        StorageError: the disk refused the write.
    """
    write_bytes(folder / name, data)
    return StoredFile(name=name, size=len(data), sha256=hashlib.sha256(data).hexdigest())


@dataclass(frozen=True, kw_only=True)
class SegmentRecord:
    """One segment as the manifest names it."""

    rows: int
    """Slices written, hidden ones among them."""
    vectors: StoredFile
    slices: StoredFile
    removed: Mapping[str, int] = field(default_factory=dict)
    """Videos whose rows here are hidden, with the number of these rows."""

    @property
    def files(self) -> tuple[StoredFile, StoredFile]:
        """Both files."""
        return self.vectors, self.slices


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """A library at one moment."""

    fingerprint: str
    """Of the encoder whose embeddings it holds."""
    dim: int
    model: str | None = None
    """Run folder of that encoder, a hint."""
    next_slice_id: int = 0
    next_segment: int = 1
    """Number of the segment to write next; numbers are not used twice."""
    segments: tuple[SegmentRecord, ...] = ()


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Commit: from here on ``manifest`` is the library.

    Raises:
        StorageError: the disk refused the write.
    """
    body = {"format": FORMAT, "version": VERSION, "metric": METRIC, **asdict(manifest)}
    write_json(folder / NAME, {**body, "sha256": checksum(body)})


def checksum(body: dict[str, Any]) -> str:
    """SHA-256 of a manifest's content, whatever its layout."""
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()


def read_manifest(folder: Path) -> Manifest:
    """Read and verify the manifest of a library.

    Raises:
        LibraryError: there is none, it is damaged, or it is of a later version.
    """
    path = folder / NAME
    try:
        body = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise LibraryError(
            f"library {folder}: no library there ({NAME} is missing); check the path"
        ) from error
    except (OSError, ValueError, RecursionError) as error:
        raise LibraryError(f"{path}: cannot be read: {error}; restore it from a copy") from error
    if not isinstance(body, dict) or body.get("format") != FORMAT:
        raise LibraryError(f"{path}: is no manifest of a library; check the path, or restore it from a copy")
    if body.get("version") != VERSION:
        raise LibraryError(
            f"{path}: has version {body.get('version')}, expected {VERSION}; use the sora-video that wrote it"
        )
    if body.pop("sha256", None) != checksum(body):
        raise LibraryError(f"{path}: is damaged or edited: its SHA-256 does not fit; restore it from a copy")
    return Manifest(
        fingerprint=body["fingerprint"],
        dim=body["dim"],
        model=body["model"],
        next_slice_id=body["next_slice_id"],
        next_segment=body["next_segment"],
        segments=tuple(
            SegmentRecord(
                rows=record["rows"],
                vectors=StoredFile(**record["vectors"]),
                slices=StoredFile(**record["slices"]),
                removed=record["removed"],
            )
            for record in body["segments"]
        ),
    )


@contextmanager
def writer_lock(folder: Path) -> Iterator[None]:
    """Hold a library's writer lock, waiting until other writers are done; it ends with its process.

    Raises:
        StorageError: the folder cannot be written.
    """
    target = folder / "lock"
    with ExitStack() as stack:
        with storage_errors(target):
            file = stack.enter_context(target.open("ab"))
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def sweep(folder: Path, manifest: Manifest) -> None:
    """Delete what killed writers left behind. Call it under the writer lock, with the manifest on the disk.

    Raises:
        StorageError: the folder cannot be written.
    """
    named = {folder / file.name for record in manifest.segments for file in record.files}
    written = [path for ending in ("faiss", "parquet") for path in folder.glob(f"segments/*.{ending}")]
    with storage_errors(folder / "segments"):
        for path in [*written, *folder.glob(f".{Path(NAME).stem}.*.partial.json")]:
            if path not in named:
                path.unlink()
