"""SHA-256 of files, texts and values."""

import hashlib
import json
import os
import stat
from io import BufferedReader
from pathlib import Path
from typing import Any

__all__ = ["file_sha256", "json_sha256", "open_file", "sampled_sha256", "text_sha256"]

SAMPLE_BYTES = 4096


def open_file(path: Path) -> BufferedReader:
    """Open a file for reading bytes; a named pipe or a device is refused at once.

    Args:
        path: a regular file, or a link to one.

    Returns:
        The open file; the caller closes it.

    Raises:
        OSError: the file cannot be opened, or is not a regular file.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(f"{path}: not a regular file")
    return os.fdopen(descriptor, "rb")


def file_sha256(path: Path) -> str:
    """SHA-256 of a file's content, as 64 hexadecimal digits.

    Args:
        path: a regular file; it is read in blocks.

    Raises:
        OSError: the file cannot be read, or is not a regular file.
    """
    with open_file(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sampled_sha256(path: Path, places: int) -> bytes:
    """SHA-256 of a file's size and of samples of its content, evenly spread, so that a large one is not read.

    Args:
        path: the file.
        places: samples of 4096 bytes, at least 2: at both ends and between.

    Raises:
        OSError: the file cannot be read.
    """
    size = path.stat().st_size
    digest = hashlib.sha256(str(size).encode())
    with open_file(path) as file:
        for place in range(places):
            last = place == places - 1
            file.seek(max(0, size - SAMPLE_BYTES) if last else size * place // (places - 1))
            digest.update(file.read(SAMPLE_BYTES))
    return digest.digest()


def text_sha256(text: str) -> str:
    """SHA-256 of a text in UTF-8, as 64 hexadecimal digits.

    Args:
        text: any text that UTF-8 can encode.

    Raises:
        UnicodeEncodeError: it holds half of a surrogate pair.
    """
    return hashlib.sha256(text.encode()).hexdigest()


def json_sha256(value: Any) -> str:
    """SHA-256 of a value as JSON with sorted keys, as 64 hexadecimal digits.

    Args:
        value: what ``json.dumps`` takes; the order of keys does not matter.

    Raises:
        TypeError: JSON cannot represent it.
    """
    return text_sha256(json.dumps(value, sort_keys=True))
