"""TFRecord files and the two protocol buffers in them, as far as feature tables need them.

A record is its length (8 bytes), a checksum (4), that many bytes, another checksum (4). A message is a row of
fields: a varint of number and wire type, then a varint (type 0), 8 bytes (1), a length and bytes (2) or 4
bytes (5). See https://protobuf.dev/programming-guides/encoding/ and TensorFlow's ``example.proto``.
"""

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from sora_video.base.errors import CorpusError

__all__ = ["parse_example", "read_records"]


def read_records(path: Path) -> Iterator[bytes]:
    """Read a file's records one at a time.

    Args:
        path: a TFRecord file.

    Yields:
        The bytes of a record.

    Raises:
        CorpusError: the file is cut off.
    """
    with path.open("rb") as file:
        while head := file.read(12):
            length = struct.unpack("<Q", head[:8])[0] if len(head) == 12 else -1
            body = file.read(length + 4) if 0 <= length <= path.stat().st_size else b""
            if len(body) != length + 4:
                raise CorpusError(f"{path}: is cut off or no TFRecord file; download it again")
            yield body[:-4]


def varint(data: bytes, position: int) -> tuple[int, int]:
    """A number of 7 bits a byte, and the position after it."""
    value = shift = 0
    while True:
        byte = data[position]
        value |= (byte & 0x7F) << shift
        position, shift = position + 1, shift + 7
        if byte < 0x80:
            return value, position


def fields(data: bytes) -> Iterator[tuple[int, Any]]:
    """Number and value of each field of a message."""
    position = 0
    while position < len(data):
        key, position = varint(data, position)
        if key & 7 == 0:
            value, position = varint(data, position)
            yield key >> 3, value
            continue
        size, position = varint(data, position) if key & 7 == 2 else ({1: 8, 5: 4}[key & 7], position)
        yield key >> 3, data[position : position + size]
        position += size


def feature(data: bytes) -> list[Any]:
    """The values of a ``Feature``: bytes (1), floats (2) or integers (3), packed or one by one."""
    values: list[Any] = []
    for kind, content in fields(data):
        for _, value in fields(content):
            if kind == 1:
                values.append(value)
            elif kind == 2:
                values += np.frombuffer(value, "<f4").tolist()
            else:
                values += unpack(value) if isinstance(value, bytes) else [value]
    return values


def unpack(data: bytes) -> list[int]:
    """Integers written after each other."""
    values, position = [], 0
    while position < len(data):
        value, position = varint(data, position)
        values.append(value)
    return values


def named(data: bytes) -> Iterator[tuple[str, bytes]]:
    """Name and content of each entry of a ``Features`` or ``FeatureLists``."""
    for _, entry in fields(data):
        parts = dict(fields(entry))
        yield parts[1].decode(), parts.get(2, b"")


def parse_example(record: bytes) -> tuple[dict[str, list[Any]], dict[str, list[list[Any]]]]:
    """Read an ``Example``, or a ``SequenceExample``.

    Args:
        record: its bytes.

    Returns:
        Its features by name, and its lists of features by name; an ``Example`` has no lists.
    """
    parts = dict(fields(record))
    features = {name: feature(content) for name, content in named(parts.get(1, b""))}
    lists = {name: [feature(one) for _, one in fields(content)] for name, content in named(parts.get(2, b""))}
    return features, lists
