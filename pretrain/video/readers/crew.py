"""The readers of one caller, and what they are asked for."""

import threading
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from typing import Any, NamedTuple

from .limits import Limits
from .process import Reader

__all__ = ["ATTEMPTS", "Answer", "Crew", "Job"]

ATTEMPTS = 2
"""Readers that a file may cost."""


class Answer(NamedTuple):
    """What comes of a job."""

    key: int
    kind: str
    """``item``: one of several, ``done``: that was all, ``whole``: all there is, ``failed``; after the
    last three nothing follows. ``broken``: no reader works."""
    value: Any
    """What was read; the reason of a failure."""
    memory_mb: float = 0.0
    """Of what is done: the peak memory of its reader in MB."""


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

    @property
    def alone(self) -> bool:
        """Whether it needs a new reader, since its file has cost one or is the reader's standard input."""
        return self.attempts > 0 or self.stdin is not None

    def attempt(self) -> None:
        """Begin anew."""
        self.attempts, self.skip, self.sent = self.attempts + 1, max(self.sent, self.skip), 0


class Crew:
    """The readers of one caller.

    Args:
        count: how many.
        limits: what each may take.
        room: answers that may wait for the caller; None: any number.
        depth: jobs that a reader may have, the one that it works on among them.
    """

    def __init__(self, count: int, limits: Limits, room: int | None, depth: int) -> None:
        self.count, self.limits, self.room, self.depth = count, limits, room, depth
        self.jobs: deque[Job] = deque()
        self.busy: dict[Reader, deque[Job]] = {}
        """The jobs of each reader, which works on the first of them."""
        self.paused = False
        """Whether nothing is taken of the readers."""
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

    def load(self, reader: Reader) -> int:
        """How many jobs a reader has; as many as it may where it was started for one alone."""
        jobs = self.busy[reader]
        alone = jobs and (jobs[0].attempts > 1 or jobs[0].stdin is not None)
        return self.depth if alone else len(jobs)

    def begin(self, reader: Reader) -> None:
        """Begin the first job of a reader."""
        self.busy[reader][0].attempt()
        reader.begin()
