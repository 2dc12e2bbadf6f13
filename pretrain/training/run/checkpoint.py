"""States that a run can be continued from.

checkpoints/1200_-2.3142.pt     the state after step 1200; the last number is its alignment plus uniformity
"""

import hashlib
from io import BytesIO
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch

from sora_video.base.errors import RunError
from sora_video.base.files import write_bytes
from sora_video.pretrain.video.corpus import Corpus

__all__ = ["Checkpoints", "corpus_digest", "pack", "quality_of", "unpack"]


def pack(state: dict[str, Any]) -> bytes:
    """A state as bytes, the same again on any device."""
    buffer = BytesIO()
    torch.save(state, buffer)
    return buffer.getvalue()


def unpack(data: bytes) -> dict[str, Any]:
    """What :func:`pack` was given, on the CPU."""
    state: dict[str, Any] = torch.load(BytesIO(data), map_location="cpu", weights_only=True)
    return state


class Checkpoints:
    """The states of one run on the disk: the newest and the best. Each file appears whole.

    Args:
        folder: where they are; made when needed.
        keep: how many of the newest stay.
    """

    def __init__(self, folder: Path, keep: int) -> None:
        self.folder, self.keep = folder, keep

    def files(self) -> list[Path]:
        """All states, the newest last."""
        return sorted(self.folder.glob("[!.]*_*.pt"), key=step_of)

    def best(self) -> Path | None:
        """The state of the least alignment plus uniformity."""
        return min(self.files(), key=quality_of, default=None)

    def save(self, step: int, quality: float, data: bytes) -> None:
        """Write a state, then drop those that are neither among the newest nor the best.

        Raises:
            StorageError: the disk is full; the earlier states are untouched.
        """
        write_bytes(self.folder / f"{step}_{quality:.4f}.pt", data)
        best, files = self.best(), self.files()
        for file in files[: -self.keep]:
            if file != best:
                file.unlink()

    def load(self) -> dict[str, Any] | None:
        """The newest state that can be read; None where there is none.

        Raises:
            RunError: there are states, and none can be read.
        """
        files = self.files()
        for file in reversed(files):
            try:
                return unpack(file.read_bytes())
            except (RuntimeError, OSError, EOFError, UnpicklingError):
                continue  # damaged by other hands, since saves are atomic: the one before it is as good
        if files:
            raise RunError(
                f"run {self.folder.parent}: {files[-1].name} is damaged; delete the run to train anew"
            )
        return None

    def drop(self) -> None:
        """Delete all states."""
        for file in self.files():
            file.unlink()
        if self.folder.is_dir() and not any(self.folder.iterdir()):
            self.folder.rmdir()


def corpus_digest(corpus: Corpus) -> str:
    """A hash of which videos a corpus holds, in which order."""
    entries = "\n".join(f"{video.video_id} {video.start_s} {video.end_s}" for video in corpus.videos)
    return hashlib.sha256(entries.encode()).hexdigest()


def step_of(file: Path) -> int:
    """The step after which a state was saved."""
    return int(file.stem.split("_")[0])


def quality_of(file: Path) -> float:
    """Alignment plus uniformity of a state; less is better."""
    return float(file.stem.split("_")[1])
