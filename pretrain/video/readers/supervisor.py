"""The thread that all readers of a process answer to.

There is one, for the life of the process, since a reader ends with the thread that started it. It hands jobs
to readers, takes what they send, watches what they take, and kills those that take too much. Readers that
have nothing to do are kept for the next caller.
"""

import atexit
import os
import selectors
import socket
import threading
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from typing import Any, NamedTuple

from .limits import Limits
from .messages import line
from .process import Reader, search_path

__all__ = ["ATTEMPTS", "Answer", "Crew", "Job", "supervisor"]

TICK_S = 0.2
"""Seconds between two looks at readers that send nothing."""
KEPT = 8
"""Most readers that wait for the next caller."""
ATTEMPTS = 2
"""Readers that a file may cost."""


class Answer(NamedTuple):
    """What comes of a job."""

    key: int
    kind: str
    """``item``, ``done`` or ``failed``; after the latter two nothing follows. ``broken``: no reader works."""
    value: Any
    """The item, the reason of a failure, or of what is done the peak memory in MB of its reader."""


@dataclass
class Job:
    """One file to read."""

    key: int
    function: Any
    task: Any
    path: Path
    most: int = ATTEMPTS
    """Attempts that it may take."""
    stdin: int | None = None
    """Descriptor that its reader has for standard input."""
    sent: int = 0
    """Items that the caller has."""
    skip: int = 0
    """Items of this attempt that the caller has already."""
    attempts: int = 0


class Crew:
    """The readers of one caller.

    Args:
        count: how many.
        limits: what each may take.
        room: answers that may wait for the caller; None: any number.
    """

    def __init__(self, count: int, limits: Limits, room: int | None) -> None:
        self.count, self.limits, self.room = count, limits, room
        self.jobs: deque[Job] = deque()
        self.busy: dict[Reader, Job] = {}
        self.answers: SimpleQueue[Answer] = SimpleQueue()
        self.lost: dict[Path, str] = {}
        """Files that cost readers, and why; they are not tried again."""
        self.closed = False
        self.ended = threading.Event()
        """Set once it is closed and has no reader."""

    @property
    def full(self) -> bool:
        """Whether the caller has enough to go on with."""
        return self.room is not None and self.answers.qsize() >= self.room


class Supervisor:
    """See the module."""

    def __init__(self) -> None:
        self.selector = selectors.DefaultSelector()
        self.bell, ear = socket.socketpair()
        self.bell.setblocking(False)
        ear.setblocking(False)
        self.selector.register(ear, selectors.EVENT_READ)
        self.crews: list[Crew] = []
        self.idle: list[Reader] = []
        threading.Thread(target=self.run, name="readers", daemon=True).start()

    def ring(self) -> None:
        """Wake the thread up."""
        with suppress(BlockingIOError):
            self.bell.send(b"\0")

    def run(self) -> None:
        """Supervise until the process ends."""
        while True:
            for key, _ in self.selector.select(TICK_S):
                if key.data is None:
                    key.fileobj.recv(4096)  # type: ignore[union-attr]
                else:
                    self.take(*key.data)
            for crew in list(self.crews):
                try:
                    self.tend(crew)
                except Exception as error:  # no caller may wait for ever
                    crew.answers.put(Answer(-1, "broken", line(error)))

    def take(self, crew: Crew, reader: Reader) -> None:
        """Take one message of a reader."""
        job = crew.busy[reader]
        try:
            kind, value = reader.receive()
        except (EOFError, OSError):
            self.lose(crew, reader)
            return
        except Exception as error:
            self.sentence(crew, reader, f"its reader sent what cannot be read: {line(error)}")
            return
        if kind == "item":
            job.sent += 1
            if job.sent > job.skip:
                crew.answers.put(Answer(job.key, kind, value))
        elif kind not in ("ready", "begun"):
            self.dismiss(crew, reader)
            crew.answers.put(Answer(job.key, kind, value))

    def tend(self, crew: Crew) -> None:
        """Give a crew what it waits for, and end what takes too much."""
        if crew.closed:
            for reader in list(crew.busy):
                self.dismiss(crew, reader, kill=True)
            self.crews.remove(crew)
            crew.ended.set()
            return
        for reader in list(crew.busy):
            self.watch(crew, reader)
        while crew.jobs and len(crew.busy) < crew.count and not crew.full:
            self.start(crew, crew.jobs.popleft())

    def watch(self, crew: Crew, reader: Reader) -> None:
        """Let a reader wait while its caller has enough to do, and end one that has passed a limit."""
        listening = reader.channel in self.selector.get_map()
        if crew.full:
            reader.pause()
            self.deafen(reader)
        elif not listening:
            reader.resume()
            self.selector.register(reader.channel, selectors.EVENT_READ, (crew, reader))
        elif not reader.alive and not reader.has_unread():
            self.lose(crew, reader)
        elif reason := reader.overdue(crew.limits):
            self.sentence(crew, reader, reason)

    def sentence(self, crew: Crew, reader: Reader, reason: str) -> None:
        """End a reader for what it does to its file."""
        self.deafen(reader)
        reader.kill(reason)
        self.lose(crew, reader)

    def deafen(self, reader: Reader) -> None:
        """Take nothing more of a reader, for now."""
        if reader.channel in self.selector.get_map():
            self.selector.unregister(reader.channel)

    def start(self, crew: Crew, job: Job) -> None:
        """Give a job to a reader: one that is there, but a new one where a file has cost one."""
        if job.path in crew.lost:
            crew.answers.put(Answer(job.key, "failed", crew.lost[job.path]))
            return
        job.attempts, job.skip, job.sent = job.attempts + 1, max(job.sent, job.skip), 0
        fresh = job.attempts > 1 or job.stdin is not None
        reader = None if fresh else self.waiting(crew.limits.memory_mb)
        reader = reader or Reader(crew.limits.memory_mb, job.stdin)
        crew.busy[reader] = job
        self.selector.register(reader.channel, selectors.EVENT_READ, (crew, reader))
        try:
            reader.begin(job.function, job.task, crew.limits.seconds(job.path))
        except OSError:
            pass  # it is gone, which is noticed when it does not answer
        except Exception as error:
            self.dismiss(crew, reader, kill=True)
            crew.answers.put(Answer(job.key, "broken", line(error)))

    def waiting(self, memory_mb: int) -> Reader | None:
        """A reader that has nothing to do, and imports from where this process does now."""
        kind = memory_mb, search_path()
        for reader in [reader for reader in self.idle if reader.kind == kind or not reader.alive]:
            self.idle.remove(reader)
            if reader.alive:
                return reader
            reader.kill()
        return None

    def dismiss(self, crew: Crew, reader: Reader, *, kill: bool = False) -> None:
        """Take a reader off its job; it is kept for the next one."""
        job = crew.busy.pop(reader)
        self.deafen(reader)
        if kill or job.stdin is not None or len(self.idle) >= KEPT:
            reader.kill()
        else:
            self.idle.append(reader)

    def lose(self, crew: Crew, reader: Reader) -> None:
        """Do without a reader that died; its file is tried once more by another."""
        job = crew.busy.pop(reader)
        if not reader.sentence:
            self.deafen(reader)
        reason = reader.bury()
        if not reader.started and job.attempts >= job.most:
            crew.answers.put(Answer(job.key, "broken", reader.said.rpartition("\n")[2] or reason))
        elif job.attempts >= job.most:
            crew.lost[job.path] = reason
            crew.answers.put(Answer(job.key, "failed", reason))
        else:
            crew.jobs.appendleft(job)

    def end(self) -> None:
        """End all readers, as the process ends."""
        for reader in [*self.idle, *(reader for crew in self.crews for reader in list(crew.busy))]:
            with suppress(OSError):
                os.killpg(reader.process.pid, 9)


class Current:
    """The supervisor of this process."""

    supervisor: Supervisor | None = None


def supervisor() -> Supervisor:
    """The one supervisor of this process."""
    if Current.supervisor is None:
        Current.supervisor = Supervisor()
        atexit.register(Current.supervisor.end)
    return Current.supervisor


def forget() -> None:
    """In a fork of this process: its readers are those of its parent."""
    Current.supervisor = None


os.register_at_fork(after_in_child=forget)
