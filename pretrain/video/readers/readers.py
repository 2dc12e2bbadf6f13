"""Readers as their callers see them: jobs go in, answers come out."""

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

from sora_video.base.errors import SoraError, VideoError
from sora_video.base.processes import peak_memory_mb

from .crew import ATTEMPTS, Answer, Crew, Job
from .limits import Limits
from .supervisor import supervisor

__all__ = ["Readers", "Request", "read_apart", "read_once"]

ENDING_S = 10.0
"""Most seconds to wait for the end of readers."""


class Request(NamedTuple):
    """One file to read.

    A reader calls ``function(task)`` and sends what it returns; of an iterator, what it yields, one by one. A
    :class:`~sora_video.base.errors.VideoError`, and any other error, says that the file cannot be read. The
    function is one of a module, which the reader imports; it makes the same each time, and calls
    :func:`.pulse.beat` for each frame.
    """

    key: int
    """Names the request in its answers."""
    function: Callable[[Any], Any]
    task: Any
    """Plain values."""
    path: Path
    """The file."""
    attempts: int = ATTEMPTS
    """Readers that it may cost; 1 for what cannot be read anew from its start."""
    stdin: int | None = None
    """Descriptor that is the standard input of its reader, which reads nothing else then."""


class Readers:
    """Processes that read files and may die of it.

    A reader that dies, hangs or takes too much memory is ended, and its file is tried once more by a new one.

    Args:
        count: how many; 0: this process reads, without any protection.
        limits: what reading a file may take.
        room: answers that may wait; readers wait while there are so many. None: any number.
        depth: requests that a reader may have, the one that it works on among them: with 2 it goes on at
            once. Those that wait must be small, since nothing is taken of a reader while it is sent one.
    """

    def __init__(
        self, count: int, limits: Limits | None = None, room: int | None = None, depth: int = 1
    ) -> None:
        self.crew, self.inline = Crew(count, limits or Limits(), room, depth), deque[Request]()
        self.reading: Iterator[Answer] = iter(())
        if count:
            self.supervisor = supervisor()
            self.supervisor.crews.append(self.crew)

    def submit(self, *requests: Request) -> None:
        """Ask for files to be read, after those asked for before."""
        if self.crew.count == 0:
            self.inline.extend(requests)
            return
        self.crew.jobs.extend(Job(*request) for request in requests)
        self.supervisor.ring()

    def get(self) -> Answer:
        """The next answer; waits for it.

        Raises:
            SoraError: no reader can be started.
        """
        if self.crew.count == 0:
            return self.read_here()
        answer = self.crew.answers.get()
        if self.crew.room is not None:
            self.supervisor.ring()
        if answer.kind == "broken":
            raise SoraError(f"no reader can be started: {answer.value}; check the installation")
        return answer

    def read_here(self) -> Answer:
        """The next answer, by this process."""
        while (answer := next(self.reading, None)) is None:
            self.reading = answers(self.inline.popleft())
        return answer

    def close(self) -> None:
        """End readers that are still busy, and wait for their end."""
        self.crew.closed = True
        if self.crew.count:
            self.supervisor.ring()
            self.crew.ended.wait(ENDING_S)

    def __enter__(self) -> "Readers":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def answers(request: Request) -> Iterator[Answer]:
    """What comes of a request in this process."""
    try:
        result = request.function(request.task)
        if not isinstance(result, Iterator):
            yield Answer(request.key, "whole", result, peak_memory_mb())
            return
        for item in result:
            yield Answer(request.key, "item", item)
    except VideoError as error:
        yield Answer(request.key, "failed", str(error))
    else:
        yield Answer(request.key, "done", None, peak_memory_mb())


def read_apart(
    requests: Iterable[Request], count: int, limits: Limits | None = None
) -> Generator[Answer, None, None]:
    """Read files by supervised readers, as many at a time as there are readers.

    Args:
        requests: the files.
        count: how many readers; 0: this process reads.
        limits: what reading a file may take.

    Yields:
        Answers as they come; those of one request in order.

    Raises:
        SoraError: no reader can be started.
    """
    waiting, remaining = 0, iter(requests)
    with Readers(count, limits, room=max(1, 2 * count)) as readers:
        while True:
            while waiting <= count and (request := next(remaining, None)):
                readers.submit(request)
                waiting += 1
            if not waiting:
                return
            answer = readers.get()
            waiting -= answer.kind != "item"
            yield answer


def read_once(request: Request, limits: Limits | None = None) -> Any:
    """Read the one item of a request.

    Args:
        request: to one reader.
        limits: what reading the file may take.

    Raises:
        SoraError: no reader can be started.
        VideoError: the file cannot be read.
    """
    *items, last = read_apart([request], 1, limits)  # all of them, or the reader would be ended as well
    if last.kind == "failed":
        raise VideoError(last.value)
    return (items or [last])[0].value
