"""What ``sora models list`` shows."""

from pathlib import Path
from typing import NamedTuple

from sora_video.base.errors import ConfigError, SoraError

from ..spec import Part
from .backbone import Backbone, config_of, fetched_models, find_backbone
from .source import Source, find_source, kinds

__all__ = ["KnownModel", "known_models"]


class KnownModel(NamedTuple):
    """One published encoder."""

    model: str
    licence: str
    megabytes: float | None
    input: str
    here: str
    """Where it is on this machine, or how it is had."""


def known_models() -> list[KnownModel]:
    """Published encoders that all sources list, and others that are in the models folder."""
    rows = [row for kind in kinds() for row in models_of(kind)]
    listed = {row.model for row in rows}
    return [*rows, *(row for row in models_here() if row.model not in listed)]


def models_of(kind: str) -> list[KnownModel]:
    """Those that one source lists; what is wrong where it fails, which leaves the others listed."""
    try:
        source = find_source(kind)
        return [
            KnownModel(f"{kind}:{name}", *listed, where(source, Part(kind=kind, name=name)))
            for name, listed in source.listed().items()
        ]
    except Exception as error:  # another package may raise any
        return [KnownModel(f"{kind}:", "", None, "", " ".join(str(error).split()) or type(error).__name__)]


def models_here() -> list[KnownModel]:
    """Those in the models folder."""
    return [
        KnownModel(backbone.spec, backbone.licence, megabytes(folder, backbone), shape(backbone), str(folder))
        for folder, backbone in fetched_models()
    ]


def megabytes(folder: Path, backbone: Backbone) -> float:
    """Size of an encoder's files of weights, in millions of bytes; 0 of those that are missing."""
    weights = [folder / name for name in backbone.files if name.endswith((".safetensors", ".pth"))]
    return sum(path.stat().st_size for path in weights if path.is_file()) / 1e6


def shape(backbone: Backbone) -> str:
    """What an encoder sees of a slice."""
    wanted = config_of(backbone).slice
    return f"{wanted.frames} x {wanted.size} x {wanted.size}"


def where(source: Source, part: Part) -> str:
    """Where an encoder is, or how it is had."""
    try:
        folder, _ = find_backbone(part)
    except ConfigError:
        return f"install sora-video[{source.extra}]" if not source.is_installed() else "fetch it"
    except SoraError as error:
        return str(error)
    return "in its package" if source.home(part.name) == folder else str(folder)
