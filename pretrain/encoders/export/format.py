"""The base of the formats that an encoder is exported to, and their list."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from sora_video.base.errors import ConfigError
from sora_video.base.registry import Registry
from sora_video.pretrain.video.slices import Slices

from ..frozen import VideoEncoder

__all__ = ["FORMATS", "Embed", "Format", "find_format"]

FORMATS = Registry(
    "--format",
    "sora_video.formats",
    {
        "onnx": "sora_video.pretrain.encoders.export.onnx:Onnx",
        "torch": "sora_video.pretrain.encoders.export.torch:TorchProgram",
        "hf": "sora_video.pretrain.encoders.export.hf:Folder",
    },
)

Embed = Callable[[Slices[NDArray[Any]]], NDArray[np.float32]]
"""From n slices to their (n, D) L2-normalised embeddings."""


class Format(ABC):
    """One way to write an encoder down. A subclass is made without arguments."""

    extra: str = ""
    """The extra of this project that installs what it needs; empty: nothing more is needed."""

    modules: Sequence[str] = ()
    """The modules that it needs."""

    usage: str
    """How the folder is used, as a sentence for its README.md."""

    @abstractmethod
    def write(self, encoder: VideoEncoder, weights: Mapping[str, Tensor], folder: Path) -> None:
        """Write the encoder.

        Args:
            encoder: on the CPU.
            weights: its state, by the names in its own file.
            folder: exists, and is empty.

        Raises:
            StorageError: the disk refused the write.
        """

    @abstractmethod
    def open(self, folder: Path) -> Embed:
        """Open what :meth:`write` wrote, by the means that its user has.

        Args:
            folder: holds it.

        Returns:
            What embeds slices with it.
        """


def find_format(name: str) -> Format:
    """The format of a name.

    Args:
        name: one of :data:`FORMATS`.

    Raises:
        ConfigError: there is none, or a package that it needs is missing.
    """
    found = cast(Format, FORMATS.load(name)())
    missing = [module for module in found.modules if find_spec(module) is None]
    if missing:
        raise ConfigError(
            f"--format {name}: the package {missing[0]} is missing; install sora-video[{found.extra}]"
        )
    return found
