"""The base of the places that published weights come from, and their list."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple, cast

from torch import Tensor, nn

from sora_video.base.errors import ConfigError
from sora_video.base.registry import Registry
from sora_video.configs.parts import ENCODERS

from ..words import Words

__all__ = ["FRAME_SLICE", "SOURCES", "Description", "Listed", "Source", "find_source", "kinds"]

SOURCES = Registry(
    "model",
    "sora_video.sources",
    {
        "package": "sora_video.pretrain.encoders.published.package:Package",
        "torchvision": "sora_video.pretrain.encoders.published.torchvision:Torchvision",
        "hf": "sora_video.pretrain.encoders.published.hf:HuggingFace",
        "timm": "sora_video.pretrain.encoders.published.timm:Timm",
        "open_clip": "sora_video.pretrain.encoders.published.open_clip:OpenCLIP",
    },
)

FRAME_SLICE = (4, 4.0)
"""Frames of a slice, and frames a second, that frame models see."""


class Listed(NamedTuple):
    """What ``sora models list`` says of one published encoder."""

    licence: str
    megabytes: float
    """Size of its file of weights, in millions of bytes."""
    input: str
    """What it sees of a slice, as in ``16 x 112 x 112``."""


class Description(NamedTuple):
    """All but the weights of a published encoder."""

    origin: str
    """Where its weights come from."""
    licence: str
    encoder: dict[str, Any]
    """The ``encoder`` section that builds its network."""
    slice: dict[str, Any]
    """Its preprocessing, as the ``slice`` section has it."""


class Source(ABC):
    """One place that published weights come from. A subclass is made without arguments."""

    extra: str = ""
    """The extra of this project that installs what it needs; empty: nothing more is needed."""

    modules: Sequence[str] = ()
    """The modules that it needs."""

    def is_installed(self) -> bool:
        """Whether what it needs is installed."""
        return all(find_spec(module) for module in self.modules)

    @abstractmethod
    def listed(self) -> Mapping[str, Listed]:
        """Its encoders by name. It may have more than these."""

    @abstractmethod
    def fetch(self, name: str, folder: Path, given: Path | None = None) -> None:
        """Write an encoder's files; the one step that uses the network.

        Args:
            name: which.
            folder: exists, and is empty.
            given: a file or folder that has them already; None: they are fetched from where they are
                published.

        Raises:
            ConfigError: there is no such encoder.
            OSError: it cannot be had.
        """

    @abstractmethod
    def describe(self, name: str, folder: Path) -> Description:
        """Describe an encoder.

        Args:
            name: which.
            folder: what :meth:`fetch` wrote.

        Raises:
            ConfigError: there is no such encoder.
        """

    @abstractmethod
    def weights(self, name: str, folder: Path, network: nn.Module) -> Mapping[str, Tensor]:
        """Read an encoder's weights; nothing in the files is run.

        Args:
            name: which.
            folder: what :meth:`fetch` wrote, its files checked.
            network: what the description's ``encoder`` section builds.

        Returns:
            The network's state.

        Raises:
            RunError: they cannot be read, or do not fit.
        """

    def words(self, name: str, folder: Path) -> Words | None:  # noqa: ARG002
        """The text tower beside an encoder; None: it has none.

        Args:
            name: which.
            folder: what :meth:`fetch` wrote, its files checked.

        Raises:
            ConfigError: its tokenizer is missing.
            RunError: its weights cannot be read, or do not fit.
        """
        return None

    def home(self, name: str) -> Path | None:  # noqa: ARG002
        """The folder of weights that lie in an installed package; None: they are fetched.

        Args:
            name: which.

        Raises:
            ConfigError: there is no such encoder, or its package is missing.
        """
        return None


def find_source(kind: str) -> Source:
    """The source of a kind of published encoders.

    Args:
        kind: what stands before the colon of a model spec: one of :data:`SOURCES`, or an encoder of another
            package that offers weights by an attribute ``source``.

    Raises:
        ConfigError: there is none.
    """
    if kind not in SOURCES.names() and kind in ENCODERS.names():
        made = getattr(ENCODERS.load(kind), "source", None)
        if made is None:
            raise ConfigError(f"model {kind}: this encoder has no published weights; name a run folder")
        return cast(Source, made())
    return cast(Source, SOURCES.load(kind)())


def kinds() -> list[str]:
    """The kinds of published encoders, those of other packages last."""
    others = (name for name in ENCODERS.names() if name not in ENCODERS.homes)
    return [*SOURCES.names(), *(name for name in others if name not in SOURCES.names() and has_weights(name))]


def has_weights(encoder: str) -> bool:
    """Whether an encoder of another package has published weights; true where it cannot be imported."""
    try:
        return getattr(ENCODERS.load(encoder), "source", None) is not None
    except ConfigError:
        return True
