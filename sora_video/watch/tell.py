"""Tell others of alerts, by a command or a web hook, without holding up the watch or ending it."""

import json
import os
import shlex
import shutil
import subprocess
import urllib.request
from collections.abc import Callable
from http.client import HTTPException
from pathlib import Path
from queue import Full, Queue
from threading import Thread
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

from sora_video.base import console
from sora_video.base.errors import ConfigError

__all__ = ["Teller", "command", "webhook"]

Tell = Callable[[dict[str, Any]], None]
"""Tells of one event; raises where that fails."""
FAILURES = (OSError, subprocess.SubprocessError, ValueError, HTTPException)
COMMAND_S, ANSWER_S = 60, 30
"""Seconds that a command may take, and the answer of a web hook."""
MOST_WAITING = 100
"""Events that wait to be told; further ones are not."""
TYPES = {"clip": "video/mp4", "picture": "image/jpeg"}


class Teller:
    """Tells of events one after another, in a thread of its own.

    Args:
        tell: what is told, by the name that failures are said under.
    """

    def __init__(self, tell: dict[str, Tell]) -> None:
        self.tell = tell
        self.counts = {name: {"done": 0, "failed": 0} for name in tell}
        self.waiting: Queue[dict[str, Any] | None] = Queue(MOST_WAITING)
        self.thread = Thread(target=self.work, daemon=True)
        self.thread.start()

    def add(self, event: dict[str, Any]) -> None:
        """Tell of an event, as soon as those before it are told.

        Args:
            event: plain values; ``clip`` and ``picture`` are paths.
        """
        try:
            self.waiting.put_nowait(event)
        except Full:
            for name in self.tell:
                self.failed(name, event, f"{MOST_WAITING} events are waiting to be told already")

    def finish(self) -> dict[str, dict[str, int]]:
        """Wait until all is told.

        Returns:
            How often each was ``done`` and ``failed``.
        """
        self.waiting.put(None)
        self.thread.join()
        return self.counts

    def work(self) -> None:
        """What the thread does."""
        while (event := self.waiting.get()) is not None:
            for name, tell in self.tell.items():
                try:
                    tell(event)
                    self.counts[name]["done"] += 1
                except FAILURES as error:
                    self.failed(name, event, str(error))

    def failed(self, name: str, event: dict[str, Any], reason: str) -> None:
        """Say that one was not told."""
        self.counts[name]["failed"] += 1
        console.warn(f"{name}: the event at {event['start_s']:g} s was not told: {reason}")


def command(text: str) -> Tell:
    """Run a command for each event, with its JSON as input; SORA_CLIP and SORA_PICTURE name its files.

    Args:
        text: the command, split as a shell does; no shell runs it.

    Returns:
        What tells of an event.

    Raises:
        ConfigError: there is no such command.
    """
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise ConfigError(f"--exec {text}: {error}; close it") from error
    if not words or shutil.which(words[0]) is None:
        raise ConfigError(f"--exec {text}: there is no such command; name an executable file by its path")

    def tell(event: dict[str, Any]) -> None:
        paths = {f"SORA_{name.upper()}": event.get(name) or "" for name in TYPES}
        done = subprocess.run(
            words,
            input=json.dumps(event),
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={**os.environ, **paths},
            timeout=COMMAND_S,
            start_new_session=True,  # Ctrl-C ends the watch, not what tells of it
        )
        if done.returncode:
            last = (done.stdout.strip().splitlines() or ["it printed nothing"])[-1]
            raise subprocess.SubprocessError(f"it ended with status {done.returncode}: {last}")

    return tell


def webhook(address: str) -> Tell:
    """Post each event to an address: a form with the parts ``event`` (JSON), ``clip`` and ``picture``.

    Args:
        address: http or https.

    Returns:
        What tells of an event.

    Raises:
        ConfigError: it is no such address.
    """
    if urlsplit(address).scheme not in ("http", "https") or not urlsplit(address).hostname:
        raise ConfigError(f"--webhook {address}: must be an address that begins with http:// or https://")

    def tell(event: dict[str, Any]) -> None:
        boundary = uuid4().hex
        kind = {"Content-Type": f"multipart/form-data; boundary={boundary}"}
        request = urllib.request.Request(address, form(event, boundary), kind)
        urllib.request.urlopen(request, timeout=ANSWER_S).close()

    return tell


def form(event: dict[str, Any], boundary: str) -> bytes:
    """An event with its files as the body of a form (RFC 7578)."""
    parts = [('name="event"', "application/json", json.dumps(event).encode())]
    for name, kind in TYPES.items():
        if event.get(name):
            path = Path(event[name])
            parts.append((f'name="{name}"; filename="{path.name}"', kind, path.read_bytes()))
    body = b"".join(
        f"--{boundary}\r\nContent-Disposition: form-data; {named}\r\nContent-Type: {kind}\r\n\r\n".encode()
        + content
        + b"\r\n"
        for named, kind, content in parts
    )
    return body + f"--{boundary}--\r\n".encode()
