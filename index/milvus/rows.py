"""Slices as rows of a collection."""

import json
from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby
from typing import Any
from urllib.parse import quote, unquote

import numpy as np

from sora_video.base.errors import LibraryError

from ..store.attributes import kind_of, parse_value, spell
from ..store.block import Block, Member
from ..store.table import Slices
from ..store.video_source import attributes_alone

__all__ = ["FIELDS", "SLICE", "VIDEO", "blocks_of", "key_of", "pack", "rows_of", "unpack", "whole_videos"]

VIDEO = ["video_id", "slices", "content", "attributes"]
"""Fields that all rows of a video have alike."""
SLICE: dict[str, type[Any]] = {
    "slice_id": np.int64,
    "slice_no": np.int32,
    "start_s": np.float64,
    "end_s": np.float64,
    "still": np.bool_,
}
"""Fields of a slice, with their types."""
FIELDS = [*VIDEO, "position", *SLICE, "embedding"]
BLOCK_ROWS = 8192


def key_of(name: str) -> str:
    """The name of an attribute as a key of JSON, which needs no escapes in an expression.

    Args:
        name: of the attribute.
    """
    return quote(name, safe="").replace("~", "%7E")


def pack(stored: Mapping[str, Any]) -> dict[str, Any]:
    """Attributes as the server keeps them.

    What counts as equal is spelt alike under ``is``; what has an order is under ``number`` or ``text``.

    Args:
        stored: attributes of a video with its source, as a table has them.
    """
    values = attributes_alone(stored)
    source = {name: value for name, value in stored.items() if name not in values}
    packed: dict[str, Any] = {"is": {key_of(name): spell(value) for name, value in values.items()}}
    for kind, key in (("a number", "number"), ("a text", "text")):
        packed[key] = {
            key_of(name): parse_value(value) if isinstance(value, str) else value
            for name, value in values.items()
            if kind_of(value) == kind
        }
    return {**packed, "source": source}


def unpack(packed: Mapping[str, Any]) -> dict[str, Any]:
    """Attributes with the source, as a table stores them, from what :func:`pack` made.

    Args:
        packed: as the server keeps them.
    """
    values = {unquote(key): json.loads(text) for key, text in packed["is"].items()}
    return {**values, **packed["source"]}


def rows_of(block: Block, first: int, push: int) -> Iterator[dict[str, Any]]:
    """The rows of some videos.

    Args:
        block: whole videos.
        first: number of the first row.
        push: what the rows of one push have in common.
    """
    columns = {name: column.tolist() for name, column in block.slices._asdict().items()}
    number = 0
    for member in block.members:
        video = {
            "video_id": member.video_id,
            "slices": member.rows,
            "content": member.content,
            "attributes": pack(member.attributes),
            "push": push,
        }
        for position in range(member.rows):
            slice_ = {name: column[number] for name, column in columns.items()}
            vector = block.vectors[number]
            yield {"row": first + number, **video, "position": position, **slice_, "embedding": vector}
            number += 1


def whole_videos(rows: Iterable[dict[str, Any]], what: str) -> Iterator[list[dict[str, Any]]]:
    """Rows by rising number as videos, each with all of its rows.

    Args:
        rows: with the fields ``video_id``, ``slices`` and ``position``.
        what: names the library in messages.

    Raises:
        LibraryError: one is not whole.
    """
    for name, group in groupby(rows, lambda row: row["video_id"]):
        video = [*group]
        if [row["position"] for row in video] != [*range(video[0]["slices"])]:
            raise LibraryError(
                f"{what}: has {len(video)} of {video[0]['slices']} slices of {name}; repeat `sora index push`"
            )
        yield video


def blocks_of(rows: Iterable[dict[str, Any]], what: str) -> Iterator[Block]:
    """Whole videos of about ``BLOCK_ROWS`` rows.

    Args:
        rows: with all :data:`FIELDS`, by rising number.
        what: names the library in messages.

    Raises:
        LibraryError: a video is not whole.
    """
    pending: list[list[dict[str, Any]]] = []
    for video in whole_videos(rows, what):
        pending.append(video)
        if sum(map(len, pending)) >= BLOCK_ROWS:
            yield block_of(pending)
            pending = []
    if pending:
        yield block_of(pending)


def block_of(videos: list[list[dict[str, Any]]]) -> Block:
    """Some videos, each its rows."""
    firsts = [video[0] for video in videos]
    rows = [row for video in videos for row in video]
    members = [
        Member(first["video_id"], first["content"], unpack(first["attributes"]), len(video))
        for first, video in zip(firsts, videos, strict=True)
    ]
    slices = Slices(**{name: np.array([row[name] for row in rows], kind) for name, kind in SLICE.items()})
    return Block(members, slices, np.array([row["embedding"] for row in rows], np.float32))
