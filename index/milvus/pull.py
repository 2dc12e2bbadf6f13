"""Reading a library from Milvus into a folder."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from sora_video.base.errors import LibraryError
from sora_video.pretrain.encoders.embeddings import Embeddings
from sora_video.pretrain.encoders.spec import near_spec

from ..store.block import Block
from ..store.files import Checks, store
from ..store.guard import check_added, check_embeddings
from ..store.manifest import Manifest, StoredWhitening, write_manifest
from ..store.opening import open_snapshot
from ..store.place import appearing
from ..store.refresh import with_whitening
from ..store.segment_writer import write_segment
from .collection import Collection
from .connection import ROW_BYTES
from .filters import visible
from .rows import FIELDS, blocks_of
from .state import State
from .whitenings import read_bytes

__all__ = ["pull_library"]


def pull_library(address: str, path: str | Path) -> Path:
    """Make a folder of a library in Milvus; it appears whole or not at all.

    Slices keep their ids, videos their attributes and sources, and the whitening is the same.

    Args:
        address: ``milvus://HOST:PORT/COLLECTION``.
        path: the folder; it must not exist, or be empty.

    Returns:
        The folder, absolute.

    Raises:
        ConfigError: it is no address, or the client of Milvus is not installed.
        LibraryError: the folder holds something, the server is away, or a push committed meanwhile.
        StorageError: the disk refused the write.
    """
    folder = Path(path).expanduser().resolve()
    with appearing(folder) as beside:
        collection = Collection.open(address)
        collection.connection.call("load_collection", collection.name)
        state = collection.state
        manifest = manifest_in(beside, collection, state)
        if state.slices:
            record = write_segment(beside, manifest, state.slices, read_blocks(collection, state))
            manifest = replace(manifest, segments=(record,), next_segment=manifest.next_segment + 1)
        if collection.refresh().generation != state.generation:
            raise LibraryError(f"{address}: a push changed it meanwhile; pull it again")
        write_manifest(beside, with_whitening(open_snapshot(Checks(beside), manifest)))
    return folder


def manifest_in(folder: Path, collection: Collection, state: State) -> Manifest:
    """The manifest of an empty library in a folder, with the whitenings of one in Milvus."""
    manifest = state.manifest
    if manifest.model is not None:
        manifest = replace(manifest, model=near_spec(manifest.model, folder))
    if state.whitening is None:
        return manifest
    name = f"whitening/{state.whitening[:16]}.safetensors"
    file = store(folder, name, read_bytes(collection, state))
    names = tuple(aspect.name for aspect in manifest.aspects)
    return replace(manifest, whitening=StoredWhitening(file=file, slices=state.slices, aspects=names))


def read_blocks(collection: Collection, state: State) -> Iterator[Block]:
    """All videos, verified as :meth:`sora_video.index.library.Library.add` does.

    Raises:
        LibraryError: one is not whole, or cannot be of the library.
    """
    row_bytes, count = 4 * state.manifest.dim + ROW_BYTES, 0
    rows = collection.connection.rows(collection.name, visible(state), FIELDS, row_bytes)
    for block in blocks_of(rows, str(collection.address)):
        check(block, state, str(collection.address))
        count += len(block.vectors)
        yield block
    if count != state.slices:
        raise LibraryError(
            f"{collection.address}: has {count} of {state.slices} slices; pull it again, or repeat "
            "`sora index push`"
        )


def check(block: Block, state: State, what: str) -> None:
    """Refuse slices that a library could not open again.

    Raises:
        LibraryError: there is one.
    """
    names = [member.video_id for member in block.members]
    slice_id, slice_no, start_s, end_s, still = block.slices
    embeddings = Embeddings(
        video_id=np.repeat(np.array(names, object), [member.rows for member in block.members]),
        slice_no=slice_no,
        start_s=start_s,
        end_s=end_s,
        vectors=block.vectors,
        still=still,
        fingerprint=state.manifest.fingerprint,
    )
    check_added(embeddings)
    check_embeddings(embeddings, what, state.manifest)
    if not 0 <= slice_id.min() <= slice_id.max() < state.manifest.next_slice_id:
        raise LibraryError(f"{what}: has slice ids that are not below {state.manifest.next_slice_id}")
