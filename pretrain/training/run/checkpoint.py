"""States on the disk that a run can be continued from.

checkpoints/1200.pt     the state after step 1200, and a SHA-256 of it at its end
"""

import hashlib
import re
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import torch

from sora_video.base.errors import RunError
from sora_video.base.files import write_bytes

__all__ = ["Checkpoints", "pack", "unpack"]

MARK = b"sora-video state"
"""Comes before the checksum."""
NAME = re.compile(r"(?P<step>\d+)(?P<quality>_(-?\d+\.\d+|inf|nan))?\.pt")
"""Version 0.1.0 wrote a quality too, and no checksum."""


def pack(state: dict[str, Any]) -> bytes:
    """A state as bytes.

    Args:
        state: tensors on any device, numbers, texts, and lists and dictionaries of them.
    """
    buffer = BytesIO()
    torch.save(state, buffer)
    return buffer.getvalue()


def unpack(data: bytes) -> dict[str, Any]:
    """The state that :func:`pack` was given, with its tensors on the CPU.

    Args:
        data: what :func:`pack` returned.
    """
    state: dict[str, Any] = torch.load(BytesIO(data), map_location="cpu", weights_only=True)
    return state


class Checkpoints:
    """The newest states of one run. Each file appears whole, and is read only if its checksum fits.

    Args:
        folder: the folder of the states; made when needed.
        keep: how many are kept.
    """

    def __init__(self, folder: Path, keep: int) -> None:
        self.folder, self.keep = folder, keep

    def files(self) -> list[Path]:
        """All states, the newest last."""
        named = (path for path in self.folder.glob("[!.]*.pt") if NAME.fullmatch(path.name))
        return sorted(named, key=step_of)

    def strays(self) -> list[str]:
        """Names of files that are not states, without hidden files, which a kill leaves behind."""
        entries = self.folder.glob("[!.]*")
        return sorted(path.name for path in entries if not NAME.fullmatch(path.name))

    def save(self, step: int, data: bytes) -> None:
        """Write a state, then drop those that are not among the newest.

        Args:
            step: the step after which it was taken.
            data: what :func:`pack` gave.

        Raises:
            StorageError: the disk is full; the earlier states are untouched.
        """
        write_bytes(self.folder / f"{step}.pt", data + MARK + hashlib.sha256(data).digest())
        for file in self.files()[: -self.keep]:
            file.unlink()

    def load(self, warn: Callable[[str], None]) -> dict[str, Any] | None:
        """The newest state that can be read; None if there is no state.

        Args:
            warn: is called with a line for each damaged state, and for each other file, which is ignored.

        Raises:
            RunError: there are states, but none can be read.
        """
        for name in self.strays():
            warn(f"{self.folder / name}: is not a state of this run and is ignored; remove it")
        files = self.files()
        for file in reversed(files):
            try:
                return read_state(file)
            except Exception as error:  # old states without a checksum fail in any way
                warn(f"{file}: is damaged ({error}); the state before it is used")
        if files:
            raise RunError(
                f"run {self.folder.parent}: all states are damaged; delete the run and train again"
            )
        return None

    def drop(self) -> None:
        """Delete all states."""
        for file in self.files():
            file.unlink()
        if self.folder.is_dir() and not any(self.folder.iterdir()):
            self.folder.rmdir()


def read_state(file: Path) -> dict[str, Any]:
    """Read a state whose checksum fits.

    Raises:
        ValueError: it does not.
    """
    data = file.read_bytes()
    if "_" in file.stem:
        return unpack(data)
    size = len(data) - len(MARK) - hashlib.sha256().digest_size
    content, seal = data[: max(size, 0)], data[max(size, 0) :]
    if seal != MARK + hashlib.sha256(content).digest():
        raise ValueError("its checksum does not fit")
    return unpack(content)


def step_of(file: Path) -> int:
    """The step after which a state was saved."""
    return int(file.stem.split("_")[0])
