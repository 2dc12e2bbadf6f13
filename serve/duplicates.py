"""Groups of near-duplicates, which take long to find: found once for all who ask, and kept."""

import asyncio
from collections import OrderedDict
from typing import Any

from sora_video.index.duplicates import Group, find_duplicates

from .pool import Pool
from .served import Served

__all__ = ["Duplicates"]

KEPT = 4
"""Answers that are kept, those that were asked for last."""


class Duplicates:
    """See the module.

    Args:
        pool: in which they are found.
    """

    def __init__(self, pool: Pool) -> None:
        self.pool = pool
        self.tasks: OrderedDict[tuple[Any, ...], asyncio.Task[list[Group]]] = OrderedDict()

    async def groups(self, served: Served, content: str, **values: Any) -> list[Group]:
        """The groups of a library; finding them goes on if who asks gives up.

        Args:
            served: the library.
            content: of it, see :attr:`Served.content`.
            values: see :func:`sora_video.index.duplicates.find_duplicates`.

        Raises:
            BusyError: enough is being compared already.
            SoraError: see :func:`sora_video.index.duplicates.find_duplicates`.
        """
        key = (content, *sorted(values.items(), key=lambda item: item[0]))
        if key not in self.tasks:
            found = asyncio.create_task(self.pool.run(find_duplicates, served.library, **values))
            self.tasks[key] = found
            found.add_done_callback(lambda task: self.forget(key, task))
        self.tasks.move_to_end(key)
        while len(self.tasks) > KEPT and next(iter(self.tasks.values())).done():
            self.tasks.popitem(last=False)
        return await asyncio.shield(self.tasks[key])

    def forget(self, key: tuple[Any, ...], task: "asyncio.Task[list[Group]]") -> None:
        """Keep no failure, so that it is tried again."""
        if (task.cancelled() or task.exception() is not None) and self.tasks.get(key) is task:
            del self.tasks[key]
