"""SHA-256 of files, texts and values."""

import hashlib
import json
import os
import stat
from io import BufferedReader
from pathlib import Path
from typing import Any

__all__ = ["file_sha256", "json_sha256", "open_file", "text_sha256"]


def open_file(path: Path) -> BufferedReader:
    """Open a file to read bytes from; a named pipe or a device is refused, and not waited for.

    Raises:
        OSError: it cannot be opened, or is no file.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(f"{path}: not a file")
    return os.fdopen(descriptor, "rb")


def file_sha256(path: Path) -> str:
    """SHA-256 of a file's content, as 64 hexadecimal digits.

    Raises:
        OSError: the file cannot be read, or is no file.
    """
    with open_file(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def text_sha256(text: str) -> str:
    """SHA-256 of a text in UTF-8, as 64 hexadecimal digits."""
    return hashlib.sha256(text.encode()).hexdigest()


def json_sha256(value: Any) -> str:
    """SHA-256 of a value as JSON with sorted keys, as 64 hexadecimal digits."""
    return text_sha256(json.dumps(value, sort_keys=True))
