"""Refusals as clients see them: one line, without any path of the machine."""

import re
from collections.abc import Iterable
from pathlib import Path

from sora_video.base.console import printable
from sora_video.base.errors import (
    ConfigError,
    CorpusError,
    FingerprintError,
    LabelsError,
    LibraryError,
    RunError,
    SoraError,
    StorageError,
    VideoError,
)

__all__ = [
    "AwayError",
    "BusyError",
    "MissingError",
    "RefusedError",
    "TooLargeError",
    "status_of",
    "told",
]

ABSOLUTE = re.compile(r"(?<![\w./~-])~?/(?:[^/\s:;,'\"()]+/)*(?P<name>[^/\s:;,'\"()]*)")
"""An absolute path as it stands in a message."""


class RefusedError(SoraError):
    """A request that cannot be answered."""

    status = 400


class MissingError(RefusedError):
    """There is no such thing."""

    status = 404


class TooLargeError(RefusedError):
    """More was sent than the server takes."""

    status = 413


class AwayError(RefusedError):
    """The library cannot be read now."""

    status = 503


class BusyError(RefusedError):
    """The server has enough to do; the same request may succeed later."""

    status = 503


STATUS = (
    (StorageError, 507),
    (RunError, 503),
    (ConfigError, 422),
    (CorpusError, 422),
    (FingerprintError, 422),
    (LabelsError, 422),
    (LibraryError, 422),
    (VideoError, 422),
)


def status_of(error: SoraError) -> int:
    """The HTTP status of an error.

    Args:
        error: of any kind.
    """
    if isinstance(error, RefusedError):
        return error.status
    return next((status for kind, status in STATUS if isinstance(error, kind)), 422)


def told(message: str, roots: Iterable[str | Path] = ()) -> str:
    """A message without paths of the machine: of each, the last name is left.

    Args:
        message: one line.
        roots: folders and files that may stand in it; their names may hold spaces.
    """
    for root in sorted(
        {str(root) for root in roots if str(root) not in ("", "/", ".")}, key=len, reverse=True
    ):
        message = message.replace(f"{root}/", "").replace(root, Path(root).name)
    return printable(ABSOLUTE.sub(lambda match: match["name"] or "/", message))
