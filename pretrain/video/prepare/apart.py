"""Work in processes apart, one of which may die without harm to the rest."""

import os
import signal
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from itertools import islice
from multiprocessing import get_context
from multiprocessing.connection import Connection
from threading import Thread
from typing import TypeVar

from sora_video.base.errors import SoraError

__all__ = ["map_apart", "sigterm_interrupts"]

Item = TypeVar("Item")
Result = TypeVar("Result")


def map_apart(
    function: Callable[[Item], Result], items: Iterable[Item], workers: int
) -> Generator[tuple[Item, Result | None], None, None]:
    """Apply a function in new processes, each item in one process at a time.

    The processes end with this generator, at once if it is left early, and with the process that runs it.

    Args:
        function: a function of a module, which the processes import.
        items: what to apply it to.
        workers: processes.

    Yields:
        Each item with its result as it comes; None where the process died over it.

    Raises:
        SoraError: processes cannot be started.
    """
    context = get_context("spawn")  # a fork would take over locks that threads of this process hold
    reader, writer = context.Pipe(duplex=False)

    def start() -> ProcessPoolExecutor:
        return ProcessPoolExecutor(1, context, initializer=follow, initargs=(reader,))

    idle = [start() for _ in range(workers)]
    busy: dict[Future[Result], tuple[ProcessPoolExecutor, Item]] = {}
    remaining = iter(items)
    try:
        check(idle[0])
        while True:
            for item in islice(remaining, len(idle)):
                pool = idle.pop()
                busy[pool.submit(function, item)] = pool, item
            if not busy:
                break
            for future in wait(busy, return_when=FIRST_COMPLETED).done:
                pool, item = busy.pop(future)
                died = isinstance(future.exception(), BrokenProcessPool)
                idle.append(start() if died else pool)
                yield item, None if died else future.result()
        for pool in idle:
            pool.shutdown()
    finally:
        writer.close()  # ends all processes that are left
        for pool in [*idle, *(pool for pool, _ in busy.values())]:
            pool.shutdown()
        reader.close()


def check(pool: ProcessPoolExecutor) -> None:
    """Refuse to go on where processes die before they begin."""
    try:
        pool.submit(os.getpid).result()
    except BrokenProcessPool as error:
        raise SoraError(
            "no process can be started; a script must call this below `if __name__ == '__main__':`"
        ) from error


def follow(parent: Connection) -> None:
    """Prepare a new process to end when its parent closes the other end of the pipe, or dies.

    Signals to the whole group, Ctrl-C among them, are left to the parent.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    Thread(target=end_with, args=(parent,), daemon=True).start()


def end_with(parent: Connection) -> None:
    """Wait for the end of the pipe and end this process, whatever it does."""
    parent.poll(None)
    os._exit(1)


@contextmanager
def sigterm_interrupts() -> Iterator[None]:
    """Let SIGTERM end the block as Ctrl-C does; outside the main thread signals are left alone."""
    try:
        before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    except ValueError:
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
