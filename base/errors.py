"""Every error that a user can cause, as one tree.

    SoraError
    ├── ConfigError        a config key or value
    ├── CorpusError        a folder, glob or manifest of videos
    ├── VideoError         one file that cannot be read
    ├── RunError           a run folder: exists already, is missing or incomplete
    │   └── Stopped        a run was asked to stop, and can be continued
    ├── LabelsError        labels or splits that cannot be used, or a classifier folder
    ├── LibraryError       a library folder
    ├── FingerprintError   embeddings of one model used with those of another
    └── StorageError       the disk refused a write

Each message is one line that names the thing, its value and the remedy. The command line prints it and
exits 2; :class:`Stopped` has an exit code of its own.
"""

from collections.abc import Sequence
from typing import Any

__all__ = [
    "ConfigError",
    "CorpusError",
    "FingerprintError",
    "LabelsError",
    "LibraryError",
    "RunError",
    "SoraError",
    "Stopped",
    "StorageError",
    "VideoError",
]


class SoraError(Exception):
    """Base of all errors that the user can fix."""


class ConfigError(SoraError):
    """A config key or value is wrong."""


class CorpusError(SoraError):
    """A corpus holds nothing to work on, or cannot be read.

    Args:
        message: the line.
        failures: the videos that could not be read, where it is that none could.
    """

    def __init__(self, message: str, failures: "Sequence[Any]" = ()) -> None:
        super().__init__(message)
        self.failures = tuple(failures)


class VideoError(SoraError):
    """One video file cannot be read; the message is the reason."""


class RunError(SoraError):
    """A run folder exists already, is missing or is incomplete."""


class Stopped(RunError):  # noqa: N818, since nothing went wrong
    """A run was asked to stop, and can be continued.

    Args:
        message: the line.
        exit_code: of the command: 0 for a limit that was set, 130 after Ctrl-C, 143 after SIGTERM.
    """

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code


class LabelsError(SoraError):
    """Labels or splits cannot be used, or a classifier folder is missing or damaged."""


class LibraryError(SoraError):
    """A library folder exists already, is missing or is damaged."""


class FingerprintError(SoraError):
    """Two sets of embeddings come from different models.

    Args:
        what: the thing that was refused, for instance ``"the query"``.
        found: its fingerprint.
        expected: the fingerprint it has to match.
        remedy: what the user can do.
    """

    def __init__(self, what: str, found: str, expected: str, remedy: str) -> None:
        super().__init__(f"{what} has fingerprint {found[:12]}, expected {expected[:12]}; {remedy}")
        self.what, self.found, self.expected, self.remedy = what, found, expected, remedy

    def __reduce__(self) -> tuple[type, tuple[str, str, str, str]]:
        """Let it travel between processes."""
        return type(self), (self.what, self.found, self.expected, self.remedy)


class StorageError(SoraError):
    """The disk refused a write; what was there before is untouched."""
