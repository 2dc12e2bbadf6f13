"""Secrets in files that only their owner reads."""

import os
import secrets
import stat
from contextlib import suppress
from pathlib import Path

from sora_video.base.errors import ConfigError
from sora_video.base.storage import storage_errors

__all__ = ["kept_secret"]

BYTES = 32


def kept_secret(path: Path) -> str:
    """The secret that a file holds; one is drawn where the file is missing.

    Args:
        path: the file; it is made with mode 600.

    Returns:
        At least 43 letters, digits, ``-`` and ``_``.

    Raises:
        ConfigError: others may read the file, or it holds no secret.
        StorageError: it cannot be made.
    """
    with storage_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with suppress(FileExistsError):
            make(path)
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    with os.fdopen(descriptor, encoding="ascii", errors="replace") as file:
        if stat.S_IMODE(os.fstat(descriptor).st_mode) & 0o077:
            raise ConfigError(
                f"{path}: others may read it; `chmod 600` it, or delete it to draw another secret"
            )
        secret = file.read().strip()
    if len(secret) < BYTES or not secret.isascii():
        raise ConfigError(f"{path}: holds no secret of {BYTES} characters or more; delete it to draw another")
    return secret


def make(path: Path) -> None:
    """Write a new secret to a file of mode 600, which appears whole.

    Raises:
        FileExistsError: it is there.
    """
    beside = path.with_name(f".{path.name}.{secrets.token_hex(8)}.partial")
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(secrets.token_urlsafe(BYTES) + "\n")
            file.flush()
            os.fsync(descriptor)
        os.link(beside, path)  # two servers that start at once keep one secret
    finally:
        beside.unlink()
