"""The file of a run's text tower, ``words.safetensors``, and the tower that is read from it."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from sora_video.base.errors import RunError
from sora_video.base.files import write_bytes
from sora_video.configs.parts import TextConfig

from ..fingerprint import add_tensors
from ..words import Words
from .tower import TextTower, build_tower

__all__ = ["FILE", "RunWords", "read_words", "write_tower"]

FILE = "words.safetensors"


class RunWords(Words):
    """The text tower of a finished run.

    Args:
        tower: with its weights.
    """

    def __init__(self, tower: TextTower) -> None:
        self.tower = tower
        self.temperature = tower.temperature.item()

    @torch.no_grad()
    def embed(self, texts: Sequence[str]) -> Tensor:
        """See :meth:`Words.embed`."""
        features: Tensor = self.tower(texts)
        return features


def write_tower(folder: Path, tower: TextTower, config: TextConfig, mark: str) -> None:
    """Write a tower's weights.

    Args:
        folder: of the run, or of the exported encoder.
        tower: on any device.
        config: its settings.
        mark: fingerprint of the encoder beside it.

    Raises:
        StorageError: the disk refused the write.
    """
    weights = {name: weight.detach().cpu().contiguous() for name, weight in tower.state_dict().items()}
    metadata = {"fingerprint": mark, "ancestor": tower.ancestor, "digest": digest(weights, config, mark)}
    write_bytes(folder / FILE, save(weights, metadata=metadata))


def read_words(folder: Path, config: TextConfig, dim: int, mark: str) -> RunWords:
    """Read a tower, and check that it is the one that was written beside the encoder.

    Args:
        folder: of the run, or of the exported encoder.
        config: the tower's settings.
        dim: D of the encoder.
        mark: fingerprint of the encoder.

    Raises:
        ConfigError: the published weights that it stands on are not here.
        RunError: the file is missing, damaged or edited, or belongs to another encoder.
    """
    path = folder / FILE
    if not path.is_file():
        raise RunError(f"run {folder}: {FILE} is missing; restore it, or train again")
    try:
        with safe_open(path, "pt") as file:
            weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            metadata: Mapping[str, str] = file.metadata() or {}
    except (SafetensorError, OSError) as error:
        raise RunError(f"run {folder}: {FILE} is damaged: {error}; restore it") from error
    if metadata.get("digest") != digest(weights, config, mark):
        raise RunError(
            f"run {folder}: {FILE}, config or model.safetensors is damaged or edited: they do not fit "
            "the checksum stored with the texts' weights; restore all"
        )
    tower = build_tower(config, dim, seed=0)
    if tower.ancestor != metadata["ancestor"]:
        raise RunError(
            f"run {folder}: its texts stand on weights with fingerprint {metadata['ancestor'][:12]}, those "
            f"here have {tower.ancestor[:12]}; fetch the same weights"
        )
    tower.load_state_dict(weights)
    return RunWords(tower)


def digest(weights: Mapping[str, Tensor], config: TextConfig, mark: str) -> str:
    """SHA-256 over a tower's tensors and settings, and the encoder's fingerprint."""
    settings = config.model_dump(mode="json", exclude_defaults=True)
    made = hashlib.sha256(json.dumps([settings, mark], sort_keys=True).encode())
    add_tensors(made, weights)
    return made.hexdigest()
