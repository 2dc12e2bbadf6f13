"""The process that reads: takes jobs, sends what they yield, and ends with its parent.

Started as ``python -m sora_video.pretrain.video.readers.child CHANNEL PULSE MEMORY_MB PARENT``.
"""

import ctypes
import os
import resource
import signal
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sora_video.base.errors import VideoError
from sora_video.base.processes import peak_memory_mb

from . import printed, pulse
from .messages import line, receive, send

__all__: list[str] = []

PR_SET_PDEATHSIG = 1


def main(channel: int, counter: int, memory_mb: int, parent: int) -> None:
    """Serve jobs until the other side is gone."""
    end_with(parent)
    pulse.attach(counter)
    supervisor = socket.socket(fileno=channel)
    send(supervisor, ("ready", None, 0.0))
    printed.keep()
    limit_memory(memory_mb)
    while True:
        try:
            function, task = receive(supervisor)
        except (EOFError, OSError):
            os._exit(0)
        except Exception as error:
            send(supervisor, ("broken", line(error), 0.0))
            os._exit(1)
        printed.forget()
        pulse.begin()
        serve(supervisor, function, task, memory_mb)


def serve(supervisor: socket.socket, function: Any, task: Any, memory_mb: int) -> None:
    """Do one job. An error of any kind is one of its file."""
    try:
        result = function(task)
        if not isinstance(result, Iterator):
            send(supervisor, ("whole", result, peak_memory_mb()))
            return
        for item in result:
            send(supervisor, ("item", item, 0.0))
            pulse.beat()
    except MemoryError:
        fail(supervisor, f"reading it takes more than {memory_mb:,} MB of memory")
    except VideoError as error:
        fail(supervisor, str(error))
    except Exception as error:
        fail(supervisor, f"cannot be read: {line(error)}")
    else:
        send(supervisor, ("done", None, peak_memory_mb()))


def fail(supervisor: socket.socket, reason: str) -> None:
    """Say why a file cannot be read."""
    send(supervisor, ("failed", reason, 0.0))


def end_with(parent: int) -> None:
    """Let this process end when its parent does, whatever either of them is busy with."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def limit_memory(memory_mb: int) -> None:
    """Refuse this process more than so many MB beyond what it has, and dumps of what it had."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        status = Path("/proc/self/status").read_text(encoding="ascii")
        (data_kb,) = (int(row.split()[1]) for row in status.splitlines() if row.startswith("VmData:"))
        most, allowed = (data_kb << 10) + (memory_mb << 20), resource.getrlimit(resource.RLIMIT_DATA)[1]
        if allowed == resource.RLIM_INFINITY or most < allowed:
            resource.setrlimit(resource.RLIMIT_DATA, (most, most))


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
