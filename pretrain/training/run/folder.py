"""The run folder: what it holds, how it starts and ends.

config.yaml         the resolved config
log.jsonl           metrics by step
events.jsonl        steps that were skipped, returns to an earlier state, collapses
checkpoints/        states that a resume starts from; gone when the run is finished
model.safetensors   the encoder's weights, written last: a folder that has it is finished
words.safetensors   the weights of its text tower, where it learnt texts
metrics.json        the run in numbers
quarantine.json     videos that could not be read, and why
README.md           model card
views.png           what the network saw of its first videos; missing where features of frames are kept
map.png             a map of the monitor's videos by the finished encoder, if there is a monitor
cache/              decoded frames, or features of frames, while the run lasts
features/           features that probes computed, see sora_video.downstream.probe.store
probe/              the last probe's metrics
"""

import json
import shutil
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from sora_video.base.errors import RunError
from sora_video.base.files import read_lines, write_text
from sora_video.base.unfinished import sweep
from sora_video.configs.loader import dump_config
from sora_video.configs.schema import PretrainConfig
from sora_video.pretrain.encoders.weights import is_finished, read_config, read_weights

__all__ = ["Run"]


@dataclass(frozen=True)
class Run:
    """One run folder."""

    path: Path
    config: PretrainConfig

    @classmethod
    def new(cls, path: Path, config: PretrainConfig) -> "Run":
        """Plan a run; nothing is written before :meth:`begin`.

        Args:
            path: the run folder, missing or empty.
            config: all settings.

        Raises:
            RunError: the folder is a file, or is not empty.
        """
        if path.exists() and (not path.is_dir() or any(path.iterdir())):
            raise RunError(f"run {path}: exists already; choose another --out, or continue it with --resume")
        return cls(path, config)

    @classmethod
    def open(cls, path: Path) -> "Run":
        """Open a run folder, finished or not.

        Args:
            path: the run folder.

        Raises:
            RunError: the folder is not a run.
        """
        return cls(path, read_config(path))

    @property
    def begun(self) -> bool:
        """Whether the folder was made."""
        return (self.path / "config.yaml").is_file()

    def check_there(self) -> None:
        """Refuse to write to a folder that is gone, since that would create it again.

        Raises:
            RunError: it was deleted or moved since :meth:`begin`.
        """
        if not self.begun:
            shutil.rmtree(self.path / "cache", ignore_errors=True)  # which readers created again
            with suppress(OSError):
                self.path.rmdir()
            raise RunError(
                f"run {self.path}: its folder was deleted or moved during training; leave it where it "
                "is, and train again"
            )

    def discard(self) -> None:
        """Delete the folder of a run that could not start."""
        shutil.rmtree(self.path, ignore_errors=True)

    def begin(self) -> None:
        """Make the folder, with the resolved config in it, and delete what a killed process left unfinished.

        Raises:
            StorageError: the disk is full.
        """
        for folder in (self.path, self.path / "checkpoints", self.path / "cache"):
            sweep(folder)
        write_text(self.path / "config.yaml", dump_config(self.config))

    @property
    def finished(self) -> bool:
        """Whether the run is finished."""
        return is_finished(self.path)

    def load_weights(self) -> dict[str, Tensor]:
        """See :func:`sora_video.pretrain.encoders.weights.read_weights`."""
        return read_weights(self.path)

    def log(self) -> list[dict[str, float]]:
        """The metrics logged so far, one dictionary a line; a line that a kill cut off is left out."""
        return [json.loads(line) for line in read_lines(self.path / "log.jsonl")]

    def metrics(self) -> dict[str, Any]:
        """The run in numbers, as metrics.json has them.

        Raises:
            RunError: the run is not finished.
        """
        if not self.finished:
            raise RunError(f"run {self.path}: is not finished and has no metrics; continue it with --resume")
        metrics: dict[str, Any] = json.loads((self.path / "metrics.json").read_text(encoding="utf-8"))
        return metrics
