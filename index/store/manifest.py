"""The manifest of a library: what belongs to it, file by file, and the one commit point.

A file that no manifest names does not exist for a reader: it is what a killed writer left behind. A change
is a new manifest renamed over the old one after all that it names is on the disk.
"""

import errno
import json
import re
import shutil
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from sora_video.base.digests import json_sha256
from sora_video.base.errors import LibraryError
from sora_video.base.files import write_json
from sora_video.base.kinds import not_there
from sora_video.base.locks import locked
from sora_video.base.storage import storage_errors
from sora_video.base.unfinished import sweep as sweep_unfinished
from sora_video.pretrain.encoders.aspects import Aspect, check_aspects

from .files import StoredFile, refusal

__all__ = [
    "SCRATCH",
    "BuiltIndex",
    "Ignored",
    "Manifest",
    "SegmentRecord",
    "StoredWhitening",
    "read_manifest",
    "sweep",
    "write_manifest",
    "writer_lock",
]

FORMAT = "sora-video library"
VERSION = 4
"""Version 1 had Parquet tables, and neither attributes nor built indexes; version 2 stored no whitening;
version 3 remembered one root for all videos."""
METRIC = "inner_product"
FILE_NAME = re.compile(r"(segments|attributes|whitening)/\w[\w.-]*", re.ASCII)
"""Of files of a library; none leaves its folder."""
MOST_DIM = 1 << 20
MOST_NUMBER = (1 << 63) - 1
MOST_PARAMETER = 1 << 31
NAME = "manifest.json"
SCRATCH = ".scratch."
"""Start of the names of a writer's temporary folders among the segments."""
WRITTEN = (
    "segments/*.faiss",
    "segments/*.sqlite",
    "segments/*.parquet",
    "segments/*.ivfdata",
    "attributes/*.json",
    "whitening/*.safetensors",
)


@dataclass(frozen=True, kw_only=True)
class BuiltIndex:
    """The index of a segment that measurement chose; it can be rebuilt from the vectors."""

    file: StoredFile | None
    """None: the vectors themselves were chosen."""
    kind: str
    """One of :data:`sora_video.index.store.kinds.INDEXES`; older manifests have the name that FAISS's factory
    takes, sizes and all."""
    settings: Mapping[str, int] = field(default_factory=dict)
    """Sizes of the index, such as links of a node."""
    parameters: Mapping[str, int] = field(default_factory=dict)
    """Of the search."""
    curve: Sequence[Any] = ()
    """Recall as it was measured."""
    lists: StoredFile | None = None
    """Its inverted lists, where they were merged on the disk."""
    seed: int = 0
    """Of its training."""

    @property
    def files(self) -> tuple[StoredFile, ...]:
        """All of its files."""
        return tuple(file for file in (self.file, self.lists) if file)


@dataclass(frozen=True, kw_only=True)
class SegmentRecord:
    """One segment as the manifest names it."""

    rows: int
    """Slices written, hidden ones among them."""
    vectors: StoredFile
    slices: StoredFile
    index: BuiltIndex | None = None
    removed: Mapping[str, int] = field(default_factory=dict)
    """Videos whose rows here are hidden, with the number of these rows."""

    @property
    def name(self) -> str:
        """The number in its files' names."""
        return Path(self.vectors.name).name.split(".")[0]

    @property
    def files(self) -> tuple[StoredFile, ...]:
        """All of its files."""
        return (self.vectors, self.slices, *(self.index.files if self.index else ()))

    @property
    def visible(self) -> int:
        """Rows that are not hidden."""
        return self.rows - sum(self.removed.values())


@dataclass(frozen=True, kw_only=True)
class StoredWhitening:
    """The whitenings of a library; where they are lost they can be fitted again."""

    file: StoredFile
    slices: int
    """Visible slices when they were fitted."""
    aspects: tuple[str, ...] = ()
    """What has a whitening of its own, besides all."""


@dataclass(frozen=True, kw_only=True)
class Ignored:
    """A video that is not to come back, see :mod:`.ignored`."""

    name: str | None
    """None: it was purged."""
    name_key: str
    """What its name is known by."""
    content_key: str
    """What its content is known by; empty: unknown."""
    salt: str = ""
    """Of its keys; empty: the library's. Libraries that were merged had salts of their own."""


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """A library at one moment."""

    fingerprint: str
    """Of the encoder whose embeddings it holds."""
    dim: int
    precision: str = "fp32"
    """In which new vectors are stored."""
    aspects: tuple[Aspect, ...] = ()
    """Spans of the embeddings that they can be compared by alone; older versions wrote none."""
    model: str | None = None
    """Spec of that encoder, a hint; relative paths start from the library."""
    root: str | None = None
    """Folder below which the videos lie that remember no source of their own; written before version 4."""
    next_slice_id: int = 0
    next_segment: int = 1
    """Number of the files to write next; numbers are not used twice."""
    attributes: StoredFile | None = None
    """Attributes of videos that were edited since they were written."""
    whitening: StoredWhitening | None = None
    segments: tuple[SegmentRecord, ...] = ()
    ignored: tuple[Ignored, ...] = ()
    """Videos that are not added again."""
    salt: str = ""
    """Of the keys of these."""

    @property
    def files(self) -> tuple[StoredFile, ...]:
        """All files that it names."""
        edits = [self.attributes] if self.attributes else []
        whitenings = [self.whitening.file] if self.whitening else []
        return (*(file for record in self.segments for file in record.files), *edits, *whitenings)

    @property
    def visible(self) -> int:
        """Slices that are not hidden."""
        return sum(record.visible for record in self.segments)


MANIFEST = TypeAdapter(Manifest)


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Commit: from here on ``manifest`` is the library.

    Args:
        folder: the library.
        manifest: all files that it names are on the disk.

    Raises:
        StorageError: the disk refused the write.
    """
    body = {"format": FORMAT, "version": VERSION, "metric": METRIC, **asdict(manifest)}
    write_json(folder / NAME, {**body, "sha256": json_sha256(body)})


def read_manifest(folder: Path) -> Manifest:
    """Read and verify the manifest of a library.

    Args:
        folder: the library.

    Raises:
        LibraryError: the manifest is missing, damaged or of a later version.
    """
    path, body = folder / NAME, read_body(folder)
    if not isinstance(body, dict) or body.get("format") != FORMAT:
        raise LibraryError(
            f"{path}: is not a manifest of a library; check the path, or restore it from a copy"
        )
    if body.get("version") not in range(1, VERSION + 1):
        raise LibraryError(
            f"{path}: has version {body.get('version')}, expected {VERSION}; use the sora-video that wrote it"
        )
    if body.pop("sha256", None) != json_sha256(body):
        raise LibraryError(f"{path}: is damaged or edited: its SHA-256 does not fit; restore it from a copy")
    try:
        manifest = MANIFEST.validate_json(json.dumps(body), strict=True)
        check_manifest(manifest, body.get("metric"))
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"])) or "manifest"
        raise LibraryError(f"{path}: {key}: {first['msg']}; restore it from a copy") from error
    except ValueError as error:
        raise LibraryError(f"{path}: {error}; restore it from a copy") from error
    return manifest


def read_body(folder: Path) -> Any:
    """The JSON of the manifest of a library."""
    path = folder / NAME
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        reason = not_there(folder, "a library", f"no library there ({NAME} is missing)")
        raise LibraryError(f"library {folder}: {reason}; check the path") from error
    except NotADirectoryError as error:
        reason = not_there(folder, "a library", "is not a folder")
        raise LibraryError(f"library {folder}: {reason}; check the path") from error
    except (OSError, MemoryError) as error:
        raise refusal(path, getattr(error, "errno", None) or errno.ENOMEM) from error
    except (ValueError, RecursionError) as error:
        raise LibraryError(f"{path}: cannot be read: {error}; restore it from a copy") from error


def check_manifest(manifest: Manifest, metric: str | None) -> None:
    """Refuse values that a correct writer does not write.

    Raises:
        ValueError: there is one.
    """
    if metric != METRIC:
        raise ValueError(f"metric={metric}: must be {METRIC}")
    if manifest.precision not in ("fp32", "fp16"):
        raise ValueError(f"precision={manifest.precision}: must be fp32 or fp16")
    if not manifest.fingerprint or not 1 <= manifest.dim <= MOST_DIM:
        raise ValueError(f"fingerprint={manifest.fingerprint!r}, dim={manifest.dim}: cannot be of an encoder")
    check_aspects(manifest.aspects, manifest.dim)
    if not (0 <= manifest.next_slice_id < MOST_NUMBER and 1 <= manifest.next_segment < MOST_NUMBER):
        raise ValueError("next_slice_id or next_segment: is out of range")
    for file in manifest.files:
        if not FILE_NAME.fullmatch(file.name) or file.size < 0:
            raise ValueError(f"file {file.name!r} of {file.size} bytes: is not a file of a library")
    for record in manifest.segments:
        check_record(record)


def check_record(record: SegmentRecord) -> None:
    """Refuse a segment whose numbers contradict each other.

    Raises:
        ValueError: they do.
    """
    removed, stored = record.removed.values(), record.vectors.size
    if not 1 <= record.rows <= stored or min(removed, default=1) < 1 or sum(removed) > record.rows:
        raise ValueError(f"segment {record.name}: rows={record.rows}: cannot be in {stored} bytes of vectors")
    parameters = record.index.parameters if record.index else {}
    if any(not 1 <= value < MOST_PARAMETER for value in parameters.values()):
        raise ValueError(f"segment {record.name}: parameters={dict(parameters)}: are out of range")


def writer_lock(folder: Path) -> AbstractContextManager[None]:
    """Hold a library's writer lock, waiting until other writers are done; it ends with its process.

    Args:
        folder: the library.

    Raises:
        StorageError: the folder cannot be written.
    """
    return locked(folder / "lock")


def sweep(folder: Path, manifest: Manifest) -> None:
    """Delete files that the manifest does not name; called under the writer lock.

    Args:
        folder: the library.
        manifest: as it is on the disk.

    Raises:
        StorageError: the folder cannot be written.
    """
    named = {folder / file.name for file in manifest.files}
    sweep_unfinished(folder)
    with storage_errors(folder / "segments"):
        for pattern in WRITTEN:
            for path in folder.glob(pattern):
                if path not in named:
                    path.unlink(missing_ok=True)
        for scratch in folder.glob(f"segments/{SCRATCH}*"):
            shutil.rmtree(scratch)
