"""What libraries print in a reader. Nobody reads it, but that something is printed tells of damage."""

import os
import tempfile

__all__ = ["forget", "keep", "size"]


class Printed:
    """Where what is printed goes: to the process's own standard error, until :func:`keep` is called."""

    descriptor: int | None = None


def keep() -> None:
    """Send what this process prints to a file that has no name."""
    with tempfile.TemporaryFile() as file:
        Printed.descriptor = os.dup(file.fileno())
        os.dup2(file.fileno(), 2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.close(nowhere)


def forget() -> None:
    """Empty the file."""
    if Printed.descriptor is not None:
        os.ftruncate(Printed.descriptor, 0)
        os.lseek(Printed.descriptor, 0, os.SEEK_SET)


def size() -> int | None:
    """Bytes printed as errors since they were last forgotten; None where they are not kept."""
    return None if Printed.descriptor is None else os.fstat(Printed.descriptor).st_size
