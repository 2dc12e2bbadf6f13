"""A supervisor's hold on one reader."""

import os
import select
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from ..changed import CHANGED, state
from .limits import Limits
from .messages import receive, send
from .pulse import Pulse

__all__ = ["Reader", "search_path"]

LAST = frozenset({"whole", "done", "failed"})
"""Kinds of messages that end a job."""
TRANSFER = struct.pack("@ll", 60, 0)
"""Most seconds and microseconds that a message may stop half-way."""
ROOM = 2**20
"""Bytes that a reader may send before they are taken, so that it goes on to its next job."""
START_S = 120.0
"""Most seconds until a reader has imported what a job needs."""
ENDING_S = 2.0
"""Most seconds between the last word of a reader and its end."""
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")


class Reader:
    """A process that reads, in a session of its own, which Ctrl-C at a terminal does not reach.

    Args:
        memory_mb: see :class:`.limits.Limits`.
        stdin: descriptor for its standard input; None: it has nothing to read there.
    """

    def __init__(self, memory_mb: int, stdin: int | None = None) -> None:
        self.kind, self.stdin = (memory_mb, search_path()), stdin
        self.channel, theirs = socket.socketpair()
        for way in (socket.SO_RCVTIMEO, socket.SO_SNDTIMEO):
            self.channel.setsockopt(socket.SOL_SOCKET, way, TRANSFER)
        theirs.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, ROOM)
        self.pulse = Pulse()
        self.errors = tempfile.TemporaryFile()  # noqa: SIM115, closed by kill
        counter = self.pulse.file.fileno()
        arguments = [theirs.fileno(), counter, memory_mb, os.getpid()]
        with theirs:
            self.process = subprocess.Popen(
                [sys.executable, "-P", "-m", f"{__package__}.child", *map(str, arguments)],
                pass_fds=(theirs.fileno(), counter),
                stdin=subprocess.DEVNULL if stdin is None else stdin,
                stdout=subprocess.DEVNULL,
                stderr=self.errors,
                env={**os.environ, **ONE_THREAD, "PYTHONPATH": self.kind[1]},
                start_new_session=True,
            )
        self.started = False
        self.sentence: str | None = None
        """Why it was killed, where that was done on purpose."""
        self.said = ""
        """What it printed before it was ready."""
        self.ended = 0
        """Jobs that it is done with."""
        self.paused_s: float | None = None
        """Since when nothing is taken of it."""
        self.begin()

    def give(self, function: Any, task: Any) -> None:
        """Give it a job, to be done after those that it has.

        Raises:
            OSError: it is gone.
            Exception: the job cannot be pickled.
        """
        send(self.channel, (function, task))

    def begin(self) -> None:
        """Start the clocks of its next job."""
        self.begun, self.paused_s = False, None
        self.rest()

    def receive(self) -> tuple[str, Any, float]:
        """Its next message: kind, value, and at the end of a job its peak memory in MB.

        Raises:
            EOFError: it is gone.
            OSError: the same.
            Exception: what it sent cannot be unpickled.
        """
        message: tuple[str, Any, float] = receive(self.channel)
        self.started = True
        self.ended += message[0] in LAST
        self.rest()
        return message

    def pause(self) -> None:
        """Stop its clocks, since nothing is taken of it."""
        self.paused_s = self.paused_s or time.monotonic()

    def resume(self) -> None:
        """Let its clocks run on."""
        if self.paused_s is not None:
            if self.begun:
                self.end_s += time.monotonic() - self.paused_s
            self.paused_s = None
        self.rest()

    def rest(self) -> None:
        """Count the time without a frame from now on."""
        self.frames, self.last_s = self.pulse.frames, time.monotonic()

    def overdue(self, limits: Limits, path: Path) -> str | None:
        """Which limit it has passed, as a reason that its file cannot be read; to be asked now and then."""
        if self.pulse.frames != self.frames:
            self.rest()
        now = time.monotonic()
        if not self.begun and self.pulse.jobs > self.ended:
            self.begun, self.video_s, self.file = True, limits.seconds(path), state(path)
            self.end_s = now + self.video_s
            self.rest()
        if not self.begun:
            late = now - self.last_s > START_S
            return f"its reader took more than {START_S:g} s to start" if late else None
        reason = None
        if now - self.last_s > limits.frame_s:
            reason = f"{limits.frame_s:g} s without a frame"
        elif now > self.end_s:
            reason = f"reading it takes more than {self.video_s:g} s"
        if reason:
            return reason if state(path) == self.file else CHANGED
        if self.memory() > limits.memory_mb << 20:
            return f"reading it takes more than {limits.memory_mb:,} MB of memory"
        return None

    def memory(self) -> int:
        """Bytes it holds now; 0 where the system does not say."""
        with suppress(OSError, IndexError):
            pages = Path(f"/proc/{self.process.pid}/statm").read_text(encoding="ascii").split()[1]
            return int(pages) * os.sysconf("SC_PAGESIZE")
        return 0

    @property
    def alive(self) -> bool:
        """Whether the process runs."""
        return self.process.poll() is None

    def has_unread(self) -> bool:
        """Whether something it sent has not been received."""
        poll = select.poll()
        poll.register(self.channel, select.POLLIN)
        return bool(poll.poll(0))

    def kill(self, reason: str | None = None) -> None:
        """End it and all that it started.

        Args:
            reason: why, for :meth:`bury`.
        """
        self.sentence = reason
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)
        with suppress(subprocess.TimeoutExpired):  # one that waits for a disk ends when that answers
            self.process.wait(ENDING_S)
        self.channel.close()
        self.pulse.close()
        self.errors.close()

    def bury(self) -> str:
        """Say how it ended, once it no longer answers; see :meth:`kill`."""
        if self.sentence:
            return self.sentence
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(ENDING_S)
        code = self.process.returncode
        self.errors.seek(0)
        self.said = self.errors.read().decode(errors="replace").strip()
        self.kill()
        return "its reader stopped answering" if code is None else how(code)


def how(code: int) -> str:
    """How a process ended, in words."""
    if code >= 0:
        return f"its reader ended with status {code}"
    name = signal.Signals(-code).name if -code in {*signal.Signals} else "unknown"
    return f"its reader was killed by signal {-code} ({name})"


def search_path() -> str:
    """Where this process imports from, for a reader to do the same."""
    return os.pathsep.join(place or str(Path.cwd()) for place in sys.path)
