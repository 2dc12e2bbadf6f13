"""The part of a run folder that an encoder is loaded from: its config and its weights."""

from collections.abc import Mapping
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from sora_video.base.errors import RunError
from sora_video.base.files import write_bytes
from sora_video.configs.loader import load_config
from sora_video.configs.schema import PretrainConfig

__all__ = ["is_finished", "read_config", "read_weights", "write_weights"]


def read_config(run: Path) -> PretrainConfig:
    """Read the resolved config of a run.

    Args:
        run: the run folder.

    Raises:
        RunError: there is no run.
    """
    if not (run / "config.yaml").is_file():
        raise RunError(f"run {run}: no run there (config.yaml is missing); check the path")
    return load_config(str(run / "config.yaml"), stored=True)


def is_finished(run: Path) -> bool:
    """Whether a run folder holds weights, which are written last."""
    return (run / "model.safetensors").is_file()


def write_weights(run: Path, weights: Mapping[str, Tensor], fingerprint: str) -> None:
    """Write the encoder's weights, the mark of a finished run.

    Args:
        run: the run folder.
        weights: the encoder's state, on any device.
        fingerprint: of these weights, kept in the file's metadata.

    Raises:
        StorageError: the disk refused the write.
    """
    data = save(
        {name: weight.detach().cpu().contiguous() for name, weight in weights.items()},
        metadata={"fingerprint": fingerprint},
    )
    write_bytes(run / "model.safetensors", data)


def read_weights(run: Path) -> dict[str, Tensor]:
    """Read the encoder's weights.

    Args:
        run: the run folder.

    Raises:
        RunError: the run is not finished, or the file is damaged.
    """
    if not is_finished(run):
        raise RunError(
            f"run {run}: not finished (model.safetensors is missing); continue it with "
            f"`sora pretrain CORPUS --out {run} --resume`"
        )
    try:
        weights: dict[str, Tensor] = load_file(run / "model.safetensors")
    except (SafetensorError, OSError) as error:
        raise RunError(f"run {run}: model.safetensors is damaged: {error}; restore it") from error
    return weights
