"""Whitenings in Milvus: rows of a small collection, since they are too large for a property.

They are the bytes of a library's file of whitenings, named by their SHA-256, which a commit names.
"""

import hashlib
from base64 import b64decode, b64encode
from binascii import Error
from collections.abc import Mapping

from sora_video.base.errors import LibraryError

from ..store.whitening import ALL, Whitening, from_bytes, to_bytes
from .collection import CHUNK, Collection
from .state import State

__all__ = ["delete_others", "read_bytes", "read_whitenings", "write_whitenings"]

ROWS_AT_ONCE = 100


def write_whitenings(collection: Collection, whitenings: Mapping[str, Whitening]) -> str:
    """Write whitenings beside those that are there; no commit names them yet.

    Args:
        collection: of the library.
        whitenings: by aspect.

    Returns:
        Their SHA-256.

    Raises:
        LibraryError: the server is away.
    """
    data = to_bytes(whitenings)
    digest = hashlib.sha256(data).hexdigest()
    if digest == collection.state.whitening:
        return digest
    rows = [
        {
            "key": f"{digest}-{number}",
            "digest": digest,
            "number": number,
            "text": b64encode(data[first : first + CHUNK]).decode(),
            "none": [0.0, 1.0],
        }
        for number, first in enumerate(range(0, len(data), CHUNK))
    ]
    for first in range(0, len(rows), ROWS_AT_ONCE):
        collection.connection.call("upsert", collection.whitenings, rows[first : first + ROWS_AT_ONCE])
    return digest


def delete_others(collection: Collection) -> None:
    """Delete whitenings that are not committed.

    Args:
        collection: of the library.

    Raises:
        LibraryError: the server is away.
    """
    kept = collection.state.whitening or ""
    collection.connection.call("delete", collection.whitenings, filter=f'digest != "{kept}"')


def read_bytes(collection: Collection, state: State) -> bytes:
    """Read the file of the whitenings that are committed.

    Args:
        collection: of the library.
        state: what is committed; it names whitenings.

    Raises:
        LibraryError: they are not whole, or the server is away.
    """
    rows = collection.connection.rows(
        collection.whitenings, f'digest == "{state.whitening}"', ["number", "text"], row_bytes=2 * CHUNK
    )
    parts = {row["number"]: row["text"] for row in rows}
    try:
        data = b"".join(b64decode(parts[number]) for number in sorted(parts))
    except Error:
        data = b""
    if hashlib.sha256(data).hexdigest() != state.whitening:
        raise LibraryError(f"{collection.address}: its whitenings are not whole; repeat `sora index push`")
    return data


def read_whitenings(collection: Collection, state: State) -> dict[str, Whitening]:
    """Read the whitenings that are committed.

    Args:
        collection: of the library.
        state: what is committed; it names whitenings.

    Returns:
        By aspect.

    Raises:
        LibraryError: they are not whole, or the server is away.
    """
    manifest = state.manifest
    dims = {ALL: manifest.dim} | {aspect.name: aspect.end - aspect.start for aspect in manifest.aspects}
    return from_bytes(read_bytes(collection, state), dims)
