"""Image networks of ``timm`` as encoders of single frames."""

from collections.abc import Iterable, Mapping
from importlib.util import find_spec
from math import floor
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from sora_video.base.errors import ConfigError

from ..frame_nets import FrameFeatures, FrameNet
from .fit import fit_weights
from .hf_nets import check_side
from .hub import bring_files, licence_of, read_json, read_tensors
from .preprocessing import Picture, slice_of
from .source import FRAME_SLICE, Description, Listed, Source

__all__ = ["Timm", "frame_net"]

FILES = ("config.json", "model.safetensors")


class TimmFrames(FrameNet):
    """A network of ``timm`` (Wightman, PyTorch Image Models, 2019) without its classifier.

    Args:
        name: the encoder's, for errors.
        architecture: ``name`` and ``arguments`` of ``timm.create_model``, and the ``side`` of pictures of a
            network that takes no other, else 0.
    """

    def __init__(self, name: str, architecture: Mapping[str, Any]) -> None:
        super().__init__()
        if find_spec("timm") is None:
            raise ConfigError(f"model timm:{name}: the package timm is missing; install sora-video[timm]")
        if not architecture.get("name"):
            raise ConfigError(f"encoder.architecture: is missing for timm:{name}; see `sora models list`")
        from timm import create_model

        arguments = {**architecture.get("arguments", {}), "num_classes": 0}
        try:
            self.net: Any = create_model(architecture["name"], pretrained=False, **arguments)
        except (RuntimeError, TypeError, ValueError) as error:
            line = " ".join(str(error).split())
            raise ConfigError(f"model timm:{name}: cannot be built: {line}; choose another") from error
        self.kind, self.side = architecture["name"], architecture.get("side") or None
        self.dim = self.net.head_hidden_size
        self.shows_maps = hasattr(self.net, "forward_intermediates")
        if self.shows_maps:
            self.map_dims = tuple(stage["num_chs"] for stage in self.net.feature_info)

    def forward(self, frames: Tensor) -> FrameFeatures:
        """See :class:`FrameNet`.

        Raises:
            ConfigError: the frames are of a size that the network does not take.
        """
        check_side(self.kind, frames, self.side)
        try:
            return self.see(frames)
        except AssertionError as error:  # what timm says of a size, where no file has said so
            raise ConfigError(
                f"slice.size={frames.shape[-1]}: {self.kind} does not take it: {error}; leave slice.size as "
                "it is published"
            ) from error

    def see(self, frames: Tensor) -> FrameFeatures:
        """Features and maps of frames of a size that the network takes."""
        if not self.shows_maps:
            return self.net(frames), ()
        final, maps = self.net.forward_intermediates(frames)
        return self.net.forward_head(final), tuple(maps)

    def parts(self) -> Iterable[nn.Module]:
        """The stages."""
        return [self.net.get_submodule(stage["module"]) for stage in self.net.feature_info]


class Timm(Source):
    """See the module. A name is that of a model of ``timm``, or ``OWNER/NAME`` on the hub."""

    extra, modules = "timm", ("timm",)

    def listed(self) -> Mapping[str, Listed]:
        """See :meth:`Source.listed`."""
        return {
            "mobilenetv3_large_100.ra_in1k": Listed("Apache-2.0", 22, "4 x 224 x 224"),
            "resnet50.a1_in1k": Listed("Apache-2.0", 102, "4 x 224 x 224"),
            "vit_small_patch14_dinov2.lvd142m": Listed("Apache-2.0", 88, "4 x 518 x 518"),
            "convnext_tiny.dinov3_lvd1689m": Listed("DINOv3 License", 111, "4 x 224 x 224"),
        }

    def fetch(self, name: str, folder: Path, given: Path | None = None) -> None:
        """See :meth:`Source.fetch`; given is a folder with timm's ``config.json`` and weights."""
        bring_files(f"timm:{name}", repository_of(name), folder, FILES, given)

    def describe(self, name: str, folder: Path) -> Description:
        """See :meth:`Source.describe`."""
        config = read_json(folder, "config.json", f"timm:{name}")
        stated = {**config, **config.get("pretrained_cfg", {})}
        picture = picture_of(name, stated)
        licence = licence_of(folder)
        return Description(
            origin=f"https://huggingface.co/{repository_of(name)}",
            licence=stated.get("license", licence) if licence == "not stated" else licence,
            encoder={
                "name": "frames",
                "frame": f"timm:{name}",
                "architecture": {
                    "name": config.get("architecture"),
                    "arguments": config.get("model_args") or {},
                    "side": picture.size if stated.get("fixed_input_size") else 0,
                },
                **picture.standard,
            },
            slice=slice_of(picture, *FRAME_SLICE),
        )

    def weights(self, name: str, folder: Path, network: nn.Module) -> Mapping[str, Tensor]:
        """See :meth:`Source.weights`."""
        spec = f"timm:{name}"
        return fit_weights(spec, read_tensors(folder, spec), network, "trunks.rgb.net.net.")


def frame_net(name: str, architecture: Mapping[str, Any]) -> FrameNet:
    """The network of a frame model, see :data:`~sora_video.pretrain.encoders.frame_nets.FRAMES`.

    Args:
        name: as `timm` names it.
        architecture: the network's settings.

    Raises:
        ConfigError: there is no such network, or its package is missing.
    """
    return TimmFrames(name, architecture)


def repository_of(name: str) -> str:
    """Where the hub has a model."""
    return name if "/" in name else f"timm/{name}"


def picture_of(name: str, stated: Mapping[str, Any]) -> Picture:
    """How frames reach a network, as its config states it."""
    try:
        channels, height, width = stated["input_size"]
        interpolation, mode = stated["interpolation"], stated.get("crop_mode") or "center"
        scaled = floor(height / stated["crop_pct"])
        mean, std = ([float(value) for value in stated[key]] for key in ("mean", "std"))
    except (KeyError, TypeError, ValueError) as error:
        raise ConfigError(f"model timm:{name}: its config.json states no {error}; choose another") from error
    if (
        (channels, height) != (3, width)
        or interpolation not in ("bicubic", "bilinear", "random")
        or mode not in ("center", "squash")
    ):
        raise ConfigError(
            f"model timm:{name}: takes {channels} x {height} x {width}, {interpolation}, {mode}; colour "
            "pictures that are square, bicubic or bilinear, of their middle or squeezed can be taken"
        )
    resize: int | tuple[int, int] | None = scaled if mode == "center" else (scaled, scaled)
    return Picture(
        size=height,
        resize=None if resize == (height, height) else resize,
        interpolation="bilinear" if interpolation == "random" else interpolation,
        mean=mean,
        std=std,
    )
