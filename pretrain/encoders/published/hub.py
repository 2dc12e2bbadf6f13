"""Encoders that are published on the Hugging Face Hub: their files, and what their cards say."""

import json
import shutil
from collections.abc import Sequence
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from torch import Tensor

from sora_video.base.errors import ConfigError, RunError

from .fit import read_state
from .network import online

__all__ = ["CARD", "bring_files", "check_tokenizer", "licence_of", "read_json", "read_tensors"]

CARD = "README.md"
GIVEN = ("*.pth",)
"""Weights that are taken from a folder, and are never fetched."""

TOKENIZERS = ("tokenizer.json", "vocab.json", "tokenizer.model", "spiece.model")
"""One of these holds the words of a tokenizer."""


def bring_files(
    spec: str, repository: str, folder: Path, patterns: Sequence[str], given: Path | None
) -> None:
    """Write a repository's description and weights, none of its code.

    Args:
        spec: the encoder's name, for errors.
        repository: ``OWNER/NAME`` on the hub.
        folder: where to write.
        patterns: names of the wanted files, without folders.
        given: a folder that has them; None: they are fetched.

    Raises:
        ConfigError: ``given`` is no folder, or there are no safe weights.
        OSError: they cannot be had.
    """
    wanted = (*patterns, CARD)
    if given is None:
        download(repository, folder, wanted)
    else:
        copy_files(given, folder, (*wanted, *GIVEN))
    if not any(fnmatch(path.name, "*.safetensors") or path.suffix == ".pth" for path in folder.iterdir()):
        raise ConfigError(
            f"model {spec}: there are no weights as .safetensors, and other files may run code when they are "
            "read; choose another encoder, or convert its weights and name their folder with --from"
        )


def download(repository: str, folder: Path, wanted: Sequence[str]) -> None:
    """Fetch files from the hub."""
    with online():
        from huggingface_hub import snapshot_download
        from huggingface_hub.utils import disable_progress_bars

        disable_progress_bars()
        try:
            snapshot_download(
                repository, local_dir=folder, allow_patterns=list(wanted), ignore_patterns=["*/*"]
            )
        except Exception as error:  # of its own library for the network, which may be another tomorrow
            raise OSError(f"{type(error).__name__}: {error}") from error
    shutil.rmtree(folder / ".cache", ignore_errors=True)


def copy_files(given: Path, folder: Path, wanted: Sequence[str]) -> None:
    """Copy files from a folder."""
    if not given.is_dir():
        raise ConfigError(f"--from {given}: is no folder; name one with the weights and their config")
    for path in sorted(given.iterdir()):
        if path.is_file() and any(fnmatch(path.name, pattern) for pattern in wanted):
            shutil.copyfile(path, folder / path.name)


def check_tokenizer(folder: Path, spec: str) -> None:
    """Refuse a text tower without a tokenizer, in whose place ``transformers`` would make an empty one.

    Args:
        folder: has the encoder's files.
        spec: the encoder's name.

    Raises:
        ConfigError: there is none.
    """
    if not any((folder / name).is_file() for name in TOKENIZERS):
        raise ConfigError(
            f"model {spec}: its tokenizer is missing ({TOKENIZERS[0]}); fetch it again, with --from a folder "
            "that has it"
        )


def read_json(folder: Path, name: str, spec: str) -> dict[str, Any]:
    """Read one of the files that describe an encoder.

    Args:
        folder: has it.
        name: the file.
        spec: the encoder's name, for the error.

    Raises:
        ConfigError: it is missing, or holds no settings.
    """
    try:
        read = json.loads((folder / name).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(f"model {spec}: {name} is missing or no JSON; choose another encoder") from error
    if not isinstance(read, dict):
        raise ConfigError(f"model {spec}: {name} holds no settings; choose another encoder")
    return read


def licence_of(folder: Path) -> str:
    """The licence that an encoder's card states.

    Args:
        folder: has the card, or none.
    """
    try:
        from huggingface_hub import metadata_load

        card = metadata_load(folder / CARD) or {}
    except (OSError, ValueError):
        return "not stated"
    licence = card.get("license_name") or card.get("license")
    return str(licence) if licence else "not stated"


def read_tensors(folder: Path, spec: str, start: str = "") -> dict[str, Tensor]:
    """Read weights; nothing in the files is run.

    Args:
        folder: has them as ``.safetensors`` or ``.pth``.
        spec: the encoder's name, for the error.
        start: of the names of the wanted weights.

    Raises:
        RunError: they cannot be read.
    """
    tensors: dict[str, Tensor] = {}
    try:
        for path in sorted(folder.glob("*.safetensors")):
            with safe_open(path, "pt") as file:
                tensors |= {key: file.get_tensor(key) for key in file.keys() if key.startswith(start)}  # noqa: SIM118
    except (OSError, SafetensorError, RuntimeError, ValueError) as error:
        raise RunError(f"model {spec}: its weights cannot be read: {error}; fetch it again") from error
    for path in sorted(folder.glob("*.pth")) if not tensors else ():
        tensors |= {key: weight for key, weight in read_state(path, spec).items() if key.startswith(start)}
    return tensors
