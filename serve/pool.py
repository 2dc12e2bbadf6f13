"""Work off the event loop: a few threads, and a bounded number of calls that wait for them."""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, ParamSpec, TypeVar

from .refusals import BusyError

__all__ = ["Pool"]

P = ParamSpec("P")
T = TypeVar("T")


class Pool:
    """Threads for one kind of work.

    Args:
        name: of the work, for messages.
        threads: calls at a time.
        waiting: most calls that wait; a further one is refused at once, so that a queue does not grow.
    """

    def __init__(self, name: str, threads: int, waiting: int) -> None:
        self.name, self.room = name, threads + waiting
        self.threads = ThreadPoolExecutor(threads, thread_name_prefix=name)
        self.lock, self.calls = threading.Lock(), 0

    async def run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call a function in a thread.

        Args:
            function: may block.
            args: its arguments.
            kwargs: its arguments by name.

        Raises:
            BusyError: enough calls wait already.
        """
        with self.lock:
            if self.calls >= self.room:
                raise BusyError(f"{self.name}: {self.calls} requests are waiting already; try again later")
            self.calls += 1
        future = self.threads.submit(function, *args, **kwargs)
        future.add_done_callback(self.ended)
        return await asyncio.wrap_future(future)

    def ended(self, future: Future[Any]) -> None:  # noqa: ARG002
        """Count a call that has ended, even if nobody waits for it any more."""
        with self.lock:
            self.calls -= 1

    def close(self) -> None:
        """Drop the calls that wait; those that run go on to their end."""
        self.threads.shutdown(wait=False, cancel_futures=True)
