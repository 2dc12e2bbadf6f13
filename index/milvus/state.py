"""What is committed of a library in Milvus: one property of its collection, whose change is the commit point.

Rows of a collection are numbered, and never changed. Those of a number below :attr:`State.rows` are the
library, but for retired ones: rows of videos that were replaced or removed, until they are deleted. So a
reader sees all of a commit or nothing, and what a push that was stopped left behind has numbers that do not
count.
"""

import json
from dataclasses import asdict, dataclass
from typing import Any

from pydantic import TypeAdapter, ValidationError

from sora_video.base.errors import LibraryError

from ..store.manifest import Manifest

__all__ = ["PROPERTY", "State", "read_state"]

PROPERTY = "sora.library"
FORMAT = "sora-video library in Milvus"
VERSION = 1


@dataclass(frozen=True, kw_only=True)
class State:
    """A library in Milvus at one moment."""

    manifest: Manifest
    """Fingerprint, dimension, precision, aspects and model; it names no files."""
    generation: int = 0
    """Number of commits."""
    rows: int = 0
    """Rows below this number are committed."""
    videos: int = 0
    """Videos that can be searched."""
    slices: int = 0
    """Slices of these."""
    retired: tuple[str, ...] = ()
    """Videos that were replaced or removed; their rows below ``retired_below`` do not count."""
    retired_below: int = 0
    whitening: str | None = None
    """SHA-256 of the whitenings; None: the library is empty."""

    def to_property(self) -> dict[str, str]:
        """The property of the collection."""
        return {PROPERTY: json.dumps({"format": FORMAT, "version": VERSION, **asdict(self)})}


STATE = TypeAdapter(State)


def read_state(properties: dict[str, Any], what: str) -> State:
    """Read what is committed.

    Args:
        properties: of the collection.
        what: names it in messages.

    Raises:
        LibraryError: the collection is no library, or of a later version.
    """
    try:
        body = json.loads(properties[PROPERTY])
        version = body.pop("version")
        if body.pop("format") != FORMAT:
            raise ValueError("it has another format")
    except (KeyError, TypeError, ValueError, AttributeError):
        raise LibraryError(
            f"{what}: is a collection, but not a library that `sora index push` wrote; choose another name"
        ) from None
    if version != VERSION:
        raise LibraryError(
            f"{what}: has version {version}, expected {VERSION}; use the sora-video that wrote it"
        )
    try:
        return STATE.validate_json(json.dumps(body), strict=True)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"]))
        raise LibraryError(f"{what}: its property {PROPERTY} is damaged: {key}: {first['msg']}") from None
