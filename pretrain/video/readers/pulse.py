"""A counter that a reader raises with every frame, and that its supervisor looks at."""

import mmap
import tempfile
from array import array

__all__ = ["Pulse", "attach", "beat"]

SIZE = 8


class Pulse:
    """The supervisor's side of the counter."""

    def __init__(self) -> None:
        self.file = tempfile.TemporaryFile()  # noqa: SIM115, closed with the reader
        self.file.truncate(SIZE)
        self.memory = mmap.mmap(self.file.fileno(), SIZE)

    @property
    def count(self) -> int:
        """How often it was raised."""
        return int.from_bytes(self.memory[:SIZE], "little")

    def close(self) -> None:
        """Let go of the memory."""
        self.memory.close()
        self.file.close()


class Counter:
    """Where this process counts: for itself, until :func:`attach` names a supervisor's counter."""

    cell: "array[int] | memoryview[int]" = array("Q", [0])


def attach(descriptor: int) -> None:
    """Count in memory that a supervisor reads.

    Args:
        descriptor: of the shared memory.
    """
    Counter.cell = memoryview(mmap.mmap(descriptor, SIZE)).cast("Q")


def beat() -> None:
    """Tell the supervisor, if there is one, that work goes on."""
    Counter.cell[0] += 1
