"""A supervisor's hold on one reader."""

import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from .limits import Limits
from .messages import receive, send
from .pulse import Pulse

__all__ = ["Reader", "search_path"]

TRANSFER_S = 60.0
"""Most seconds that a message may stop half-way."""
LOOK_S = 0.2
"""Seconds between two looks at what a reader takes."""
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
        self.kind = memory_mb, search_path()
        self.channel, theirs = socket.socketpair()
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
        self.channel.settimeout(TRANSFER_S)
        self.started = False
        self.sentence: str | None = None
        """Why it was killed, where that was done on purpose."""
        self.said = ""
        """What it printed before it was ready."""
        self.look_s = 0.0
        self.paused_s: float | None = None
        """Since when nothing is taken of it."""
        self.rest()

    def begin(self, function: Any, task: Any, video_s: float) -> None:
        """Give it a job that may take so many seconds from when it has imported what it needs.

        Raises:
            OSError: it is gone.
            Exception: the job cannot be pickled.
        """
        self.video_s, self.end_s = video_s, float("inf")
        self.begun, self.paused_s = False, None
        self.rest()
        send(self.channel, (function, task))

    def receive(self) -> tuple[str, Any]:
        """Its next message.

        Raises:
            EOFError: it is gone.
            OSError: the same.
            Exception: what it sent cannot be unpickled.
        """
        kind, value = receive(self.channel)
        self.started = True
        self.rest()
        if kind == "begun":
            self.begun, self.end_s = True, time.monotonic() + self.video_s
        return kind, value

    def pause(self) -> None:
        """Stop its clocks, since nothing is taken of it."""
        self.paused_s = self.paused_s or time.monotonic()

    def resume(self) -> None:
        """Let its clocks run on."""
        if self.paused_s is not None:
            self.end_s += time.monotonic() - self.paused_s
            self.paused_s = None
        self.rest()

    def rest(self) -> None:
        """Count the time without a frame from now on."""
        self.beats, self.beat_s = self.pulse.count, time.monotonic()

    def overdue(self, limits: Limits) -> str | None:
        """Which limit it has passed, as a reason that its file cannot be read; looks now and then."""
        now, beats = time.monotonic(), self.pulse.count
        if now < self.look_s:
            return None
        self.look_s = now + LOOK_S
        if beats != self.beats:
            self.rest()
        if not self.begun:
            late = now - self.beat_s > START_S
            return f"its reader took more than {START_S:g} s to start" if late else None
        if now - self.beat_s > limits.frame_s:
            return f"{limits.frame_s:g} s without a frame"
        if now > self.end_s:
            return f"reading it takes more than {self.video_s:g} s"
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
