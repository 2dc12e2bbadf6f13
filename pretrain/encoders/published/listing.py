"""What ``sora models list`` shows."""

from typing import NamedTuple

from sora_video.base.errors import ConfigError, SoraError

from ..spec import Part
from .backbone import find_backbone
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
    """Published encoders of all sources, of which some have more than they list."""
    rows = []
    for kind in kinds():
        source = find_source(kind)
        for name, listed in source.listed().items():
            place = where(source, Part(kind=kind, name=name))
            rows.append(KnownModel(f"{kind}:{name}", listed.licence, listed.megabytes, listed.input, place))
    return rows


def where(source: Source, part: Part) -> str:
    """Where an encoder is, or how it is had."""
    try:
        folder, _ = find_backbone(part)
    except ConfigError:
        return f"install sora-video[{source.extra}]" if not source.is_installed() else "fetch it"
    except SoraError as error:
        return str(error)
    return "in its package" if source.home(part.name) == folder else str(folder)
