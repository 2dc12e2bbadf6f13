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
import time
from collections import deque
from contextlib import suppress

from .crew import Answer, Crew, Job
from .messages import line
from .process import Reader, search_path

__all__ = ["supervisor"]

TICK_S = 0.2
"""Seconds between two looks at readers that send nothing."""
KEPT = 8
"""Most readers that wait for the next caller."""


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
        look_s = 0.0
        while True:
            for key, _ in self.selector.select(TICK_S):
                if key.data is None:
                    key.fileobj.recv(4096)  # type: ignore[union-attr]
                else:
                    self.take(*key.data)
            if looking := time.monotonic() >= look_s:
                look_s = time.monotonic() + TICK_S
            for crew in list(self.crews):
                try:
                    self.tend(crew, looking=looking)
                except Exception as error:  # no caller may wait for ever
                    crew.answers.put(Answer(-1, "broken", line(error)))

    def take(self, crew: Crew, reader: Reader) -> None:
        """Take one message of a reader."""
        jobs = crew.busy[reader]
        try:
            kind, value, memory_mb = reader.receive()
        except (EOFError, OSError):
            self.lose(crew, reader)
            return
        except Exception as error:
            self.sentence(crew, reader, f"its reader sent what cannot be read: {line(error)}")
            return
        job = jobs[0]
        if kind == "item":
            job.sent += 1
            if job.sent > job.skip:
                crew.answers.put(Answer(job.key, kind, value))
        elif kind != "ready":
            crew.answers.put(Answer(job.key, kind, value, memory_mb))
            jobs.popleft()
            if jobs:
                crew.begin(reader)

    def tend(self, crew: Crew, *, looking: bool) -> None:
        """Give a crew what it waits for; where it is time to look, end what takes too much."""
        if crew.closed:
            for reader, jobs in list(crew.busy.items()):
                self.dismiss(crew, reader, kill=bool(jobs))
            self.crews.remove(crew)
            crew.ended.set()
            return
        self.feed(crew)
        for reader in [reader for reader, jobs in crew.busy.items() if not jobs]:
            self.dismiss(crew, reader)
        if crew.full != crew.paused:
            self.pause(crew, crew.full)
        elif looking and not crew.paused:
            for reader in list(crew.busy):
                self.watch(crew, reader)

    def pause(self, crew: Crew, paused: bool) -> None:
        """Take nothing of readers while their caller has enough to do, or go on."""
        crew.paused = paused
        for reader in crew.busy:
            if paused:
                reader.pause()
                self.deafen(reader)
            else:
                reader.resume()
                self.listen(crew, reader)

    def watch(self, crew: Crew, reader: Reader) -> None:
        """End a reader that has passed a limit."""
        if not reader.alive and not reader.has_unread():
            self.lose(crew, reader)
        elif reason := reader.overdue(crew.limits, crew.busy[reader][0].path):
            self.sentence(crew, reader, reason)

    def sentence(self, crew: Crew, reader: Reader, reason: str) -> None:
        """End a reader for what it does to its file."""
        self.deafen(reader)
        reader.kill(reason)
        self.lose(crew, reader)

    def listen(self, crew: Crew, reader: Reader) -> None:
        """Take what a reader sends."""
        if reader.channel not in self.selector.get_map():
            self.selector.register(reader.channel, selectors.EVENT_READ, (crew, reader))

    def deafen(self, reader: Reader) -> None:
        """Take nothing more of a reader, for now."""
        if reader.channel in self.selector.get_map():
            self.selector.unregister(reader.channel)

    def feed(self, crew: Crew) -> None:
        """Give jobs to readers, in order, while there are readers that may take them."""
        while crew.jobs and not crew.full:
            job = crew.jobs.popleft()
            if job.path in crew.lost:
                crew.answers.put(Answer(job.key, "failed", crew.lost[job.path]))
            elif reader := self.taker(crew, job):
                self.give(crew, reader, job)
            else:
                crew.jobs.appendleft(job)
                return

    def taker(self, crew: Crew, job: Job) -> Reader | None:
        """The reader that may take a job: one without a job, another one, or one that has few jobs."""
        least = min(crew.busy, key=crew.load, default=None)
        load = crew.depth if least is None or job.alone else crew.load(least)
        if load and len(crew.busy) < crew.count:
            return self.hire(crew, job)
        return least if load < crew.depth else None

    def hire(self, crew: Crew, job: Job) -> Reader:
        """Another reader for a crew: one that is there, or a new one where the job needs one of its own."""
        reader = None if job.alone else self.waiting(crew.limits.memory_mb)
        reader = reader or Reader(crew.limits.memory_mb, job.stdin)
        crew.busy[reader] = deque()
        self.listen(crew, reader)
        return reader

    def give(self, crew: Crew, reader: Reader, job: Job) -> None:
        """Give a job to a reader, which begins it if it has no other."""
        try:
            reader.give(job.function, job.task)
        except OSError:
            pass  # it is gone, which is noticed when it does not answer
        except Exception as error:
            crew.answers.put(Answer(job.key, "broken", line(error)))
            return
        crew.busy[reader].append(job)
        if len(crew.busy[reader]) == 1:
            crew.begin(reader)

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
        """Take a reader off its jobs; it is kept for the next one."""
        del crew.busy[reader]
        self.deafen(reader)
        if kill or reader.stdin is not None or len(self.idle) >= KEPT:
            reader.kill()
        else:
            self.idle.append(reader)

    def lose(self, crew: Crew, reader: Reader) -> None:
        """Do without a reader that died; its file is tried once more by another, and what waited after it."""
        job, *waiting = crew.busy.pop(reader)
        crew.jobs.extendleft(reversed(waiting))
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
