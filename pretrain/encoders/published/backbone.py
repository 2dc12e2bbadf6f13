"""``backbone.json``: all that is known of a published encoder's files, and the proof that they are those."""

import json
import os
import re
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from sora_video.base.digests import file_sha256
from sora_video.base.errors import ConfigError, RunError
from sora_video.configs.augment import AugmentConfig
from sora_video.configs.loader import check_settings
from sora_video.configs.schema import PretrainConfig
from sora_video.configs.section import Section

from ..spec import Part
from .source import find_source

__all__ = [
    "BACKBONE",
    "Backbone",
    "check_files",
    "config_of",
    "fetched_models",
    "find_backbone",
    "models_folder",
]

BACKBONE = "backbone.json"
SHIPPED = Path(__file__).parent / "backbones"
"""Descriptions of weights that lie in installed packages."""


class Backbone(Section):
    """A published encoder."""

    spec: str
    """``KIND:NAME``."""
    origin: str
    """Where its weights come from."""
    licence: str
    files: dict[str, str]
    """SHA-256 of each file."""
    encoder: dict[str, Any]
    """The ``encoder`` section that builds its network; the pooling is in it."""
    slice: dict[str, Any]
    """Its preprocessing, as the ``slice`` section has it."""
    fingerprint: str
    libraries: dict[str, str]
    """Versions of the libraries that computed ``check``."""
    check: list[float]
    """Embedding of the synthetic clip, see :mod:`.clip`."""


def find_backbone(part: Part) -> tuple[Path, Backbone]:
    """Find a published encoder's files on this machine.

    Args:
        part: names it.

    Returns:
        Their folder, and what is known of them.

    Raises:
        ConfigError: there is no such encoder, or its files are not here.
        RunError: its description is damaged.
    """
    source = find_source(part.kind)
    folder = part.folder or in_models_folder(part)
    if folder is not None:
        return folder, read_backbone(folder / BACKBONE, part)
    home = source.home(part.name)
    if home is not None:
        return home, read_backbone(SHIPPED / f"{part.name}.json", part)
    raise ConfigError(
        f"model {part.published}: its weights are not here; fetch them with `sora models fetch "
        f"{part.published} --out FOLDER` and name them {part.published}@FOLDER"
    )


def in_models_folder(part: Part) -> Path | None:
    """The encoder's folder in the models folder, if it has one."""
    folder = models_folder(part.published)
    return folder if folder is not None and (folder / BACKBONE).is_file() else None


def models_folder(spec: str) -> Path | None:
    """Where an encoder is in the models folder that ``SORA_MODELS`` names; None where it names none.

    Args:
        spec: ``KIND:NAME``.
    """
    models = os.environ.get("SORA_MODELS")
    return Path(models).expanduser() / re.sub(r"[^\w.-]", "--", spec) if models else None


def fetched_models() -> list[tuple[Path, Backbone]]:
    """The encoders that are found in the models folder by their names, in the order of these."""
    models = os.environ.get("SORA_MODELS")
    fetched = []
    for path in sorted(Path(models).expanduser().glob(f"*/{BACKBONE}")) if models else ():
        with suppress(OSError, ValueError):  # of damaged ones, which loading tells
            backbone = Backbone.model_validate_json(path.read_bytes())
            if models_folder(backbone.spec) == path.parent:
                fetched.append((path.parent, backbone))
    return fetched


def read_backbone(path: Path, part: Part) -> Backbone:
    """Read a description, and refuse that of another encoder."""
    remedy = f"`sora models fetch {part.published} --out FOLDER` makes it"
    try:
        backbone = Backbone.model_validate(json.loads(path.read_bytes()))
    except FileNotFoundError:
        raise ConfigError(f"model {part}: {BACKBONE} is missing there; {remedy}") from None
    except (OSError, ValueError, ValidationError) as error:
        raise RunError(f"model {part}: {BACKBONE} is damaged; {remedy} anew") from error
    if backbone.spec != part.published:
        raise ConfigError(
            f"model {part}: the folder holds {backbone.spec}; name it {backbone.spec}@{path.parent}"
        )
    return backbone


def check_files(folder: Path, files: Mapping[str, str], spec: str) -> None:
    """Refuse files that are not those that were fetched.

    Args:
        folder: holds them.
        files: SHA-256 by name.
        spec: the encoder's name, for the error.

    Raises:
        RunError: one is missing, or differs, or there are more, which a library might read instead.
    """
    for name, digest in files.items():
        try:
            same = Path(name).name == name and file_sha256(folder / name) == digest
        except OSError:
            same = False
        if not same:
            raise RunError(
                f"model {spec}: {folder / name} is missing or not the file that was fetched; fetch it again"
            )
    if (folder / BACKBONE).is_file():
        more = sorted(path.name for path in folder.iterdir() if path.is_file() and path.name[0] != ".")
        for name in more:
            if name != BACKBONE and name not in files:
                raise RunError(f"model {spec}: {folder / name} was not fetched with the others; move it away")


def config_of(backbone: Backbone) -> PretrainConfig:
    """The settings of a published encoder as those of a run, whose views have the size of its slices.

    Args:
        backbone: has its network and its preprocessing.

    Raises:
        ConfigError: a setting is not known, or out of range.
    """
    config = check_settings(PretrainConfig, {"encoder": backbone.encoder, "slice": backbone.slice})
    return config.model_copy(update={"augment": AugmentConfig(size=config.slice.size)})
