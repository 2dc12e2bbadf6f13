"""SHA-256 of files, texts and values."""

import hashlib
import json
from pathlib import Path
from typing import Any

__all__ = ["file_sha256", "json_sha256", "text_sha256"]


def file_sha256(path: Path) -> str:
    """SHA-256 of a file's content, as 64 hexadecimal digits.

    Raises:
        OSError: the file cannot be read.
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def text_sha256(text: str) -> str:
    """SHA-256 of a text in UTF-8, as 64 hexadecimal digits."""
    return hashlib.sha256(text.encode()).hexdigest()


def json_sha256(value: Any) -> str:
    """SHA-256 of a value as JSON with sorted keys, as 64 hexadecimal digits."""
    return text_sha256(json.dumps(value, sort_keys=True))
