"""What a reader counts, jobs and frames, and its supervisor looks at."""

import mmap
import tempfile
from array import array

__all__ = ["Pulse", "attach", "beat", "begin"]

SIZE = 16
JOBS, FRAMES = 0, 1


class Pulse:
    """The supervisor's side of the counters."""

    def __init__(self) -> None:
        self.file = tempfile.TemporaryFile()  # noqa: SIM115, closed with the reader
        self.file.truncate(SIZE)
        self.cells = memoryview(mmap.mmap(self.file.fileno(), SIZE)).cast("Q")

    @property
    def jobs(self) -> int:
        """How many jobs were begun."""
        return self.cells[JOBS]

    @property
    def frames(self) -> int:
        """How many frames were read."""
        return self.cells[FRAMES]

    def close(self) -> None:
        """Let go of the memory."""
        self.cells.release()
        self.file.close()


class Counter:
    """Where this process counts: for itself, until :func:`attach` names a supervisor's counters."""

    cells: "array[int] | memoryview[int]" = array("Q", [0, 0])


def attach(descriptor: int) -> None:
    """Count in memory that a supervisor reads.

    Args:
        descriptor: of the shared memory.
    """
    Counter.cells = memoryview(mmap.mmap(descriptor, SIZE)).cast("Q")


def begin() -> None:
    """Tell the supervisor that work on a job begins."""
    Counter.cells[JOBS] += 1


def beat() -> None:
    """Tell the supervisor, if there is one, that work goes on."""
    Counter.cells[FRAMES] += 1
