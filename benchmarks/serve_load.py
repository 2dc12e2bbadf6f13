"""Clients of a server: threads of this process, each with a connection that stays open."""

import http.client
import json
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

__all__ = ["HEAD", "Ask", "Load", "Server", "ask_for", "load"]

HEAD = "| slices | query | clients | p50, ms | p95, ms | p99, ms | answers/s | refused |\n" + 8 * "|---" + "|"


class Server(NamedTuple):
    """Where a server is, and its process."""

    host: str
    port: int
    pid: int


class Ask(NamedTuple):
    """A request."""

    method: str
    path: str
    body: bytes | None = None
    kind: str = "application/json"


def ask_for(path: str, value: Any) -> Ask:
    """A request that sends JSON."""
    return Ask("POST", path, json.dumps(value).encode())


@dataclass
class Load:
    """What was answered."""

    seconds: float = 0.0
    taken: list[float] = field(default_factory=list)
    """Seconds of each good answer."""
    refused: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def row(self, slices: str, kind: str, clients: str) -> str:
        """A line of the table."""
        times = 1e3 * np.percentile(self.taken, [50, 95, 99]) if self.taken else np.full(3, np.nan)
        p50, p95, p99 = (f"{ms:.1f}" for ms in times)
        rate = f"{len(self.taken) / self.seconds:.1f}"
        return f"| {slices} | {kind} | {clients} | {p50} | {p95} | {p99} | {rate} | {self.refused} |"


def load(server: Server, asks: Sequence[Ask], clients: int, seconds: float, pause_s: float = 0.0) -> Load:
    """Let clients ask for some seconds.

    Args:
        server: that is asked.
        asks: requests, of which each client takes every so many.
        clients: at a time.
        seconds: for which new requests are made.
        pause_s: from one request of a client to its next; 0: it asks again at once.
    """
    done, began = Load(), time.monotonic()
    threads = [
        threading.Thread(target=work, args=(done, server, asks, (number, clients), began + seconds, pause_s))
        for number in range(clients)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    done.seconds = time.monotonic() - began
    return done


def work(
    done: Load, server: Server, asks: Sequence[Ask], turn: tuple[int, int], end: float, pause_s: float
) -> None:
    """What one client does; its turn is its number, and how many there are."""
    connection = http.client.HTTPConnection(server.host, server.port, timeout=300)
    number, step = turn
    next_s = time.monotonic() + pause_s * number / step
    while max(time.monotonic(), next_s if pause_s else 0.0) < end:
        if pause_s:
            time.sleep(max(0.0, next_s - time.monotonic()))
            next_s += pause_s
        ask = asks[number % len(asks)]
        began = time.perf_counter()
        connection.request(ask.method, ask.path, ask.body, {"Content-Type": ask.kind} if ask.body else {})
        answer = connection.getresponse()
        answer.read()
        taken = time.perf_counter() - began
        with done.lock:
            if answer.status < http.client.BAD_REQUEST:
                done.taken.append(taken)
            else:
                done.refused += 1
        number += step
    connection.close()
