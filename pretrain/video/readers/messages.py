"""Python objects over a socket; arrays travel as they lie in memory, beside the pickle and not in it."""

import pickle
import socket
import struct
from typing import Any

__all__ = ["line", "receive", "send"]

HEAD = struct.Struct("<QI")
"""Bytes of the pickle, and how many buffers follow it."""
SIZE = struct.Struct("<Q")


def send(channel: socket.socket, message: Any) -> None:
    """Send one object; blocks until the other side receives it.

    Args:
        channel: a connected stream socket.
        message: what pickle takes; its arrays are sent without a copy.

    Raises:
        OSError: the other side is gone.
    """
    buffers: list[pickle.PickleBuffer] = []
    body = pickle.dumps(message, protocol=5, buffer_callback=buffers.append)
    parts = [buffer.raw() for buffer in buffers]
    sizes = b"".join(SIZE.pack(part.nbytes) for part in parts)
    channel.sendall(HEAD.pack(len(body), len(parts)) + sizes + body)
    for part in parts:
        channel.sendall(part)


def receive(channel: socket.socket) -> Any:
    """Receive what :func:`send` sent; its arrays can be written to.

    Args:
        channel: a connected stream socket.

    Raises:
        EOFError: the other side is gone.
        OSError: the same, or the channel's time is up in the middle of an object.
    """
    size, count = HEAD.unpack(exactly(channel, HEAD.size))
    sizes = exactly(channel, SIZE.size * count)
    body = exactly(channel, size)
    buffers = [exactly(channel, part) for (part,) in SIZE.iter_unpack(sizes)]
    return pickle.loads(body, buffers=buffers)


def exactly(channel: socket.socket, size: int) -> bytearray:
    """The next bytes, as many as asked for."""
    data = bytearray(size)
    rest = memoryview(data)
    while rest:
        count = channel.recv_into(rest)
        if count == 0:
            raise EOFError("the other side is gone")
        rest = rest[count:]
    return data


def line(error: Exception) -> str:
    """Write an error as one line.

    Args:
        error: of any kind, also one whose text has several lines.
    """
    return " ".join(f"{type(error).__name__}: {error}".split())
