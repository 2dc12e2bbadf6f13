"""What ``--model`` takes: a run folder, ``KIND:NAME`` of a published encoder, or several joined by ``+``.

Each may be narrowed to one aspect by ``#``, as in ``runs/first#motion``.
"""

import math
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from sora_video.base.errors import ConfigError

__all__ = ["Part", "absolute_spec", "near_spec", "parse_spec", "run_folder"]

PUBLISHED = re.compile(r"(?P<kind>[A-Za-z][\w-]*):(?P<name>[^@]*)(?P<at>@(?P<folder>.*))?", re.DOTALL)
ASPECT = re.compile(r"(?P<name>.*)#\s*(?P<by>\w*)\s*", re.DOTALL)


@dataclass(frozen=True)
class Part:
    """One encoder of a model spec."""

    run: Path | None = None
    """The run folder; None: a published encoder."""
    kind: str = ""
    name: str = ""
    """Of a published encoder, such as ``torchvision`` and ``r3d_18``."""
    folder: Path | None = None
    """Where its weights are; None: in the models folder, or in an installed package."""
    weight: float = 1.0
    """What its embedding is multiplied by where several are joined."""
    by: str | None = None
    """The aspect that alone is taken; None: the whole embedding."""

    @property
    def published(self) -> str:
        """``KIND:NAME``, without the folder."""
        return f"{self.kind}:{self.name}"

    def __str__(self) -> str:
        return self.spelt(str)

    def spelt(self, spell: Callable[[Path], str]) -> str:
        """The part in a spec, without its weight.

        Args:
            spell: how paths are written.
        """
        if self.run is not None:
            name = spell(self.run)
        else:
            name = self.published + (f"@{spell(self.folder)}" if self.folder else "")
        return f"{name}#{self.by}" if self.by else name


def parse_spec(model: str | Path, base: Path = Path()) -> tuple[Part, ...]:
    """Take a model spec apart.

    Args:
        model: a run folder; a published encoder, ``KIND:NAME`` or ``KIND:NAME@FOLDER``;
            or several of them joined by ``+``, each with a weight or without: ``runs/first*0.5+KIND:NAME``.
            ``#ASPECT`` behind one, before its weight, takes this aspect alone: ``runs/first#motion*0.5``.
            Spaces around these are ignored. A folder that exists is taken for a run whatever its name is.
        base: folder that relative paths start from; that of the process unless it is given.

    Returns:
        Its encoders, at least one, in the order they are written.

    Raises:
        ConfigError: a part is empty or not complete, or a weight is no number above 0.
    """
    text = str(model)
    if text and is_path(text, base):
        return (Part(run=at(text, base)),)
    return tuple(parse_part(part, text, base) for part in split_parts(text, base))


def at(text: str, base: Path) -> Path:
    """The path that a text names, seen from a folder."""
    try:
        return base / Path(text).expanduser()
    except RuntimeError:  # after ~ stands the name of no user
        return base / text


def is_path(text: str, base: Path) -> bool:
    """Whether a text names what exists; one that is too long for a name does not."""
    try:
        return at(text, base).exists()
    except OSError:
        return False


def run_folder(model: str | Path) -> Path | None:
    """The run folder that a model spec names; None where it names something else.

    Args:
        model: see :func:`parse_spec`.
    """
    part, *others = parse_spec(model)
    return None if others else part.run


def split_parts(text: str, base: Path) -> list[str]:
    """The texts between plus signs; one that is part of an existing folder's name does not divide."""
    parts: list[str] = []
    for piece in text.split("+"):
        if parts and exists(f"{parts[-1]}+{piece}", base):
            parts[-1] += f"+{piece}"
        else:
            parts.append(piece)
    return parts


def exists(text: str, base: Path) -> bool:
    """Whether a part, with an aspect and a weight or without, names a folder that exists."""
    name, weight = weighted(text)
    names = [text] if math.isnan(weight) else [text, name]
    return any(is_there(spelling, base) for one in names for spelling in (one, narrowed(one)[0]))


def is_there(text: str, base: Path) -> bool:
    """Whether a part without a weight names a folder that exists."""
    published = PUBLISHED.fullmatch(text.strip())
    folder = (published and published["folder"]) or text.strip()
    return folder != "" and is_path(folder, base)


def parse_part(text: str, whole: str, base: Path) -> Part:
    """One encoder, with its weight."""
    name, weight = (text.strip(), 1.0) if is_there(text, base) else weighted(text)
    name, by = (name, None) if is_there(name, base) else narrowed(name)
    published = None if is_path(name, base) else PUBLISHED.fullmatch(name)
    lacks = published and not (published["name"] and (published["folder"] or not published["at"]))
    if not name or by == "" or lacks or not 0 < weight < math.inf:
        raise ConfigError(
            f"model {whole!r}: must be encoders joined by +, each a run folder or KIND:NAME, with a weight "
            "above 0 or none, as in runs/first#motion+package:efficientnet_lite0*0.5"
        )
    if published is None:
        return Part(run=at(name, base), weight=weight, by=by)
    folder = at(published["folder"], base) if published["folder"] else None
    return Part(kind=published["kind"], name=published["name"], folder=folder, weight=weight, by=by)


def weighted(text: str) -> tuple[str, float]:
    """A part without its weight, and that; 1 where it has none."""
    name, star, factor = text.rpartition("*")
    return (name.strip(), number(factor)) if star else (text.strip(), 1.0)


def narrowed(text: str) -> tuple[str, str | None]:
    """A part without its aspect, and that; None where it names none."""
    found = ASPECT.fullmatch(text)
    return (found["name"].strip(), found["by"]) if found else (text.strip(), None)


def number(text: str) -> float:
    """A number; not a number where the text is none."""
    try:
        return float(text)
    except ValueError:
        return math.nan


def absolute_spec(model: str | Path, base: Path = Path()) -> str:
    """The same encoders, named so that it holds in any working directory.

    Args:
        model: see :func:`parse_spec`.
        base: see there.
    """
    return respelt(parse_spec(model, base), absolute)


def near_spec(model: str | Path, folder: Path) -> str:
    """The same encoders, named so that it holds when a folder is moved together with what lies beside it.

    Args:
        model: see :func:`parse_spec`.
        folder: relative paths start from it, so they are read again by ``absolute_spec(..., base=folder)``.

    Returns:
        A spec with the paths of runs and weights relative where they lie below the folder's parent, else
        absolute.
    """
    folder = folder.resolve()

    def relative(path: Path) -> str:
        name = absolute(path)
        return os.path.relpath(name, folder) if Path(name).is_relative_to(folder.parent) else name

    return respelt(parse_spec(model), relative)


def absolute(path: Path) -> str:
    """A path from the root, without ``..``."""
    return os.path.normpath(path.absolute())


def respelt(parts: tuple[Part, ...], spell: Callable[[Path], str]) -> str:
    """A spec of encoders whose paths are written in another way."""
    names = []
    for part in parts:
        name = part.spelt(spell)
        names.append(name if part.weight == 1 else f"{name}*{spelt(part.weight)}")
    return "+".join(names)


def spelt(weight: float) -> str:
    """A weight with all of its digits, as it is part of the fingerprint, and without a plus sign."""
    return repr(weight).removesuffix(".0").replace("e+", "e")
