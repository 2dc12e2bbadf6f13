"""The files that an encoder is loaded from, of a run or an exported folder: its config and its weights."""

from collections.abc import Mapping
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from sora_video.base.errors import RunError
from sora_video.base.files import write_bytes, write_json
from sora_video.base.kinds import not_there
from sora_video.configs.loader import load_config
from sora_video.configs.schema import PretrainConfig

from .fingerprint import fingerprint, merged

__all__ = ["config_name", "is_finished", "read_config", "read_weights", "write_config", "write_weights"]

RUN, EXPORTED = "config.yaml", "config.json"
"""All settings of a run, and those of an exported encoder, which are written in the same words."""


def config_name(run: Path) -> str:
    """Name of the file with the settings: that of a run unless there is only that of an exported encoder.

    Args:
        run: the folder.
    """
    return EXPORTED if not (run / RUN).exists() and (run / EXPORTED).is_file() else RUN


def read_config(run: Path) -> PretrainConfig:
    """Read the resolved config of a run, or of an exported encoder.

    Args:
        run: the folder.

    Raises:
        RunError: the folder is neither.
    """
    name = config_name(run)
    if not (run / name).is_file():
        reason = not_there(run, "a run folder", f"no run there ({name} is missing)")
        raise RunError(f"run {run}: {reason}; check the path")
    return load_config(str(run / name), stored=True)


def write_config(folder: Path, config: PretrainConfig) -> None:
    """Write those settings of an encoder that decide its embeddings, and which weights it comes from.

    Args:
        folder: is to hold an exported encoder.
        config: all settings.

    Raises:
        StorageError: the disk refused the write.
    """
    encoder = config.encoder.model_dump(mode="json", exclude=set(config.encoder.of_training))
    kept = config.model_dump(
        mode="json", include={"slice", "init", *(["text"] if config.text.is_learnt else [])}
    )
    write_json(folder / EXPORTED, {"encoder": merged(encoder, config.encoder.unused), **kept})


def is_finished(run: Path) -> bool:
    """Whether a run folder holds weights, which are written last.

    Args:
        run: the run folder.
    """
    return (run / "model.safetensors").is_file()


def write_weights(run: Path, weights: Mapping[str, Tensor], mark: str) -> None:
    """Write the encoder's weights, the mark of a finished run.

    Args:
        run: the run folder.
        weights: the encoder's state, on any device.
        mark: the fingerprint of these weights, kept in the file's metadata.

    Raises:
        StorageError: the disk refused the write.
    """
    data = save(
        {name: weight.detach().cpu().contiguous() for name, weight in weights.items()},
        metadata={"fingerprint": mark},
    )
    write_bytes(run / "model.safetensors", data)


def read_weights(run: Path) -> dict[str, Tensor]:
    """Read the encoder's weights, and check that they are those that were written.

    Args:
        run: the run folder.

    Returns:
        The encoder's state, on the CPU.

    Raises:
        RunError: the run is not finished, or a file of it is damaged or edited.
    """
    if not is_finished(run):
        raise RunError(
            f"run {run}: not finished (model.safetensors is missing); continue it with "
            f"`sora pretrain CORPUS --out {run} --resume`"
        )
    try:
        with safe_open(run / "model.safetensors", "pt") as file:
            weights: dict[str, Tensor] = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            metadata = file.metadata() or {}
    except (SafetensorError, OSError) as error:
        raise RunError(f"run {run}: model.safetensors is damaged: {error}; restore it") from error
    check_weights(run, weights, metadata.get("fingerprint"))
    return weights


def check_weights(run: Path, weights: Mapping[str, Tensor], stored: str | None) -> None:
    """Refuse weights that are not finite, or do not match the fingerprint stored with them, if there is one.

    Raises:
        RunError: they are not.
    """
    broken = [name for name, weight in weights.items() if not weight.isfinite().all()]
    if broken:
        raise RunError(f"run {run}: model.safetensors: {broken[0]} is not finite; restore it, or train again")
    config = read_config(run)
    if stored is None or stored == fingerprint(weights, config.encoder, config.slice):
        return
    raise RunError(
        f"run {run}: model.safetensors or {config_name(run)} is damaged or edited: they do not fit the "
        f"fingerprint {stored[:12]} stored with the weights; restore both"
    )
