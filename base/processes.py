"""Processors, memory and signals of processes."""

import ctypes
import os
import resource
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

__all__ = [
    "keep_freed_memory",
    "peak_memory_mb",
    "sigterm_interrupts",
    "stop_code",
    "usable_processors",
    "worker_count",
]

M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4
"""Options of glibc's mallopt(3)."""


def keep_freed_memory() -> None:
    """Have this process keep the memory that it frees, for its own next use.

    glibc takes every block of 32 MB or more from the system anew, and the system clears it page by page: a
    fifth of the processor time of a training step on the CPU. Where the C library is another one, nothing
    happens.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(M_MMAP_MAX, 0)
        mallopt(M_TRIM_THRESHOLD, -1)


def peak_memory_mb() -> float:
    """Most memory in MB that this process has held so far."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)


def worker_count(wanted: int | None) -> int:
    """How many decoding processes to use.

    Args:
        wanted: the number asked for; None: one for each processor that this process may use, at most 8.
            Processes that torchrun started together share the processors.
    """
    processes = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    return max(1, min(8, usable_processors() // processes)) if wanted is None else wanted


def usable_processors() -> int:
    """Processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def interrupt(number: int, frame: FrameType | None) -> None:  # noqa: ARG001
    """Handle a signal as Ctrl-C is handled, as ``signal.signal`` calls it."""
    raise KeyboardInterrupt(number)


def stop_code(stop: KeyboardInterrupt) -> int:
    """Exit code of a command that was stopped: 130 by Ctrl-C, 143 by SIGTERM.

    Args:
        stop: the interruption.
    """
    return 128 + (stop.args[0] if stop.args else signal.SIGINT)


@contextmanager
def sigterm_interrupts() -> Iterator[None]:
    """Let SIGTERM end the block as Ctrl-C does; outside the main thread signals are left alone."""
    try:
        before = signal.signal(signal.SIGTERM, interrupt)
    except ValueError:
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
