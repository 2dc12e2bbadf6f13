"""torchvision's video networks with their official weights and their own preprocessing."""

import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torchvision.models import get_model_weights, list_models, video

from sora_video.base.errors import ConfigError

from .fit import fit_weights, read_state
from .source import Description, Listed, Source

__all__ = ["Torchvision"]

WEIGHTS = "weights.pth"


class Torchvision(Source):
    """See the module."""

    def listed(self) -> Mapping[str, Listed]:
        """See :meth:`Source.listed`."""
        listed = {}
        for name in list_models(module=video):
            weights, settings = official(name), slice_settings(name)
            shape = f"{settings['frames']} x {settings['size']} x {settings['size']}"
            megabytes = weights.meta["_file_size"] * 2**20 / 1e6  # which torchvision states by 2**20 bytes
            listed[name] = Listed("BSD-3-Clause", megabytes, shape)
        return listed

    def fetch(self, name: str, folder: Path, given: Path | None = None) -> None:
        """See :meth:`Source.fetch`; given is a file of its weights, or a folder that has been fetched."""
        check_name(name)
        if given is not None:
            shutil.copyfile(given / WEIGHTS if given.is_dir() else given, folder / WEIGHTS)
            return
        url = official(name).url
        (prefix,) = re.findall(r"-([0-9a-f]{8,})\.pth$", url)
        torch.hub.download_url_to_file(url, str(folder / WEIGHTS), hash_prefix=prefix, progress=False)

    def home(self, name: str) -> None:
        """See :meth:`Source.home`; all are fetched."""
        check_name(name)

    def describe(self, name: str, folder: Path) -> Description:  # noqa: ARG002
        """See :meth:`Source.describe`."""
        check_name(name)
        weights = official(name)
        transform = weights.transforms()
        return Description(
            origin=weights.url,
            licence="BSD-3-Clause",
            encoder={"name": name, "input": "rgb", "mean": transform.mean, "std": transform.std},
            slice=slice_settings(name),
        )

    def weights(self, name: str, folder: Path, network: nn.Module) -> Mapping[str, Tensor]:
        """See :meth:`Source.weights`."""
        spec = f"torchvision:{name}"
        return fit_weights(spec, read_state(folder / WEIGHTS, spec), network, "trunks.rgb.net.")


def check_name(name: str) -> None:
    """Refuse what torchvision does not have.

    Raises:
        ConfigError: it is such a name.
    """
    if name not in list_models(module=video):
        raise ConfigError(
            f"model torchvision:{name}: is not known; choose one of {', '.join(list_models(module=video))}"
        )


def official(name: str) -> Any:
    """The weights that torchvision prefers."""
    return get_model_weights(name).DEFAULT


def slice_settings(name: str) -> dict[str, Any]:
    """The slices that the weights were measured on, as torchvision states them."""
    weights = official(name)
    transform, stated = weights.transforms(), weights.meta["_docs"]
    resize = tuple(transform.resize_size)
    return {
        "frames": int(re.findall(r"clip_len=(\d+)", stated)[0]),
        "fps": float(re.findall(r"frame_rate=([\d.]+)`", stated)[0]),
        "size": transform.crop_size[0],
        "resize": resize[0] if len(resize) == 1 else resize,
        "interpolation": transform.interpolation.value,
    }
