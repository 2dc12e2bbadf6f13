"""The run folder: what it holds, how it begins and ends.

config.yaml         the resolved config
log.jsonl           metrics by step
events.jsonl        steps that were skipped, returns to an earlier state, collapses
checkpoints/        states that a resume begins from; gone when the run is finished
model.safetensors   the encoder's weights, written last: a folder that has it is finished
metrics.json        the run in numbers
quarantine.json     videos that could not be read, and why
README.md           model card
views.png           what the network saw of its first videos
map.png             the monitor's videos as the finished encoder sees them, where there is a monitor
cache/              decoded frames while the run lasts
features/           what probes computed of videos, see sora_video.downstream.store
probe/              the last probe's metrics
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from sora_video.configs.errors import RunError
from sora_video.configs.loader import dump_config, load_config
from sora_video.configs.schema import PretrainConfig
from sora_video.configs.storage import write_bytes, write_text

__all__ = ["Run"]


@dataclass(frozen=True)
class Run:
    """One run folder."""

    path: Path
    config: PretrainConfig

    @classmethod
    def new(cls, path: Path, config: PretrainConfig) -> "Run":
        """Plan a run; nothing is written before :meth:`begin`.

        Raises:
            RunError: the folder exists already and is not empty.
        """
        if path.exists() and (not path.is_dir() or any(path.iterdir())):
            raise RunError(f"run {path}: exists already; choose another --out, or continue it with --resume")
        return cls(path, config)

    @classmethod
    def open(cls, path: Path) -> "Run":
        """Find a run.

        Raises:
            RunError: there is none.
        """
        if not (path / "config.yaml").is_file():
            raise RunError(f"run {path}: no run there (config.yaml is missing); check the path")
        return cls(path, load_config(str(path / "config.yaml")))

    def begin(self) -> None:
        """Make the folder, with the resolved config in it."""
        write_text(self.path / "config.yaml", dump_config(self.config))

    @property
    def finished(self) -> bool:
        """Whether the run came to its end."""
        return (self.path / "model.safetensors").is_file()

    def save_weights(self, weights: Mapping[str, Tensor], fingerprint: str) -> None:
        """Write the encoder's weights, the mark of a finished run."""
        data = save(
            {name: weight.detach().cpu().contiguous() for name, weight in weights.items()},
            metadata={"fingerprint": fingerprint},
        )
        write_bytes(self.path / "model.safetensors", data)

    def load_weights(self) -> dict[str, Tensor]:
        """Read the encoder's weights.

        Raises:
            RunError: the run is not finished, or the file is damaged.
        """
        if not self.finished:
            raise RunError(
                f"run {self.path}: not finished (model.safetensors is missing); continue it with "
                f"`sora pretrain CORPUS --out {self.path} --resume`"
            )
        try:
            weights: dict[str, Tensor] = load_file(self.path / "model.safetensors")
        except (SafetensorError, OSError) as error:
            raise RunError(f"run {self.path}: model.safetensors is damaged: {error}; restore it") from error
        return weights

    def log(self) -> list[dict[str, float]]:
        """The metrics logged so far, one dictionary a line."""
        text = (self.path / "log.jsonl").read_text(encoding="utf-8")
        return [json.loads(line) for line in text.splitlines()]
