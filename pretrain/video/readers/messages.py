"""Python objects over a socket; large arrays travel as they lie in memory, beside the pickle."""

import pickle
import socket
import struct
from typing import Any

import numpy as np

__all__ = ["line", "receive", "send"]

HEAD = struct.Struct("<QI")
"""Bytes of the pickle, and how many buffers follow it."""
SIZE = struct.Struct("<Q")
SMALL_BYTES = 4096
"""Most bytes of an array that lies in the pickle."""
MOST_BUFFERS = 512
"""Buffers of one call to the system, which takes 1024."""


def send(channel: socket.socket, message: Any) -> None:
    """Send one object; blocks until the other side receives it.

    Args:
        channel: a connected stream socket.
        message: what pickle takes; its large arrays are sent without a copy.

    Raises:
        OSError: the other side is gone, or the channel's time is up.
    """
    large: list[memoryview] = []

    def keep(buffer: pickle.PickleBuffer) -> bool:
        """Whether a buffer goes into the pickle."""
        raw = buffer.raw()
        if raw.nbytes > SMALL_BYTES:
            large.append(raw)
        return raw.nbytes <= SMALL_BYTES

    body = pickle.dumps(message, protocol=5, buffer_callback=keep)
    sizes = b"".join(SIZE.pack(part.nbytes) for part in large)
    rest = [memoryview(HEAD.pack(len(body), len(large)) + sizes + body), *large]
    while rest:
        rest = beyond(rest, channel.sendmsg(rest[:MOST_BUFFERS]))


def receive(channel: socket.socket) -> Any:
    """Receive what :func:`send` sent; its arrays can be written to.

    Args:
        channel: a connected stream socket.

    Raises:
        EOFError: the other side is gone.
        OSError: the same, or the channel's time is up.
    """
    size, count = HEAD.unpack(exactly(channel, HEAD.size))
    rest = exactly(channel, SIZE.size * count + size)
    sizes, body = rest[: SIZE.size * count], rest[SIZE.size * count :]
    return pickle.loads(body, buffers=[exactly(channel, part) for (part,) in SIZE.iter_unpack(sizes)])


def exactly(channel: socket.socket, size: int) -> memoryview:
    """The next bytes, as many as asked for."""
    data = np.empty(size, np.uint8).data
    rest = data
    while rest:
        count = channel.recv_into(rest, 0, socket.MSG_WAITALL)
        if count == 0:
            raise EOFError("the other side is gone")
        rest = rest[count:]
    return data


def beyond(parts: list[memoryview], count: int) -> list[memoryview]:
    """What of the parts lies behind so many bytes."""
    rest = []
    for part in parts:
        if count < part.nbytes:
            rest.append(part[count:])
        count = max(0, count - part.nbytes)
    return rest


def line(error: Exception) -> str:
    """Write an error as one line.

    Args:
        error: of any kind, also one whose text has several lines.
    """
    return " ".join(f"{type(error).__name__}: {error}".split())
