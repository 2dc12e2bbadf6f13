"""Networks of ``transformers`` as encoders: of whole slices, and of single frames."""

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, Literal

from pydantic import Field
from torch import Tensor, nn

from sora_video.base.errors import ConfigError
from sora_video.configs.parts import EncoderConfig

from ..frame_nets import FrameFeatures, FrameNet
from ..streams import TrunkFeatures, TrunkModule
from .hf_families import (
    FRAME_FAMILIES,
    VIDEO_FAMILIES,
    Family,
    family_of,
    hf_config,
    section_of,
    setting,
    transformers_library,
    without_unused,
)

__all__ = ["HFFrames", "HFVideo", "HFVideoConfig", "check_side", "frame_net", "layers_of"]


class HFVideoConfig(EncoderConfig):
    """Settings of hf_video."""

    needs_architecture: ClassVar[bool] = True

    input: Literal["rgb"] = "rgb"
    architecture: Mapping[str, Any] = Field(default_factory=dict)
    """What the ``config.json`` of published weights holds."""


class HFVideo(TrunkModule):
    """A video network of ``transformers``: V-JEPA 2, VideoMAE or X-CLIP.

    Assran et al., V-JEPA 2, 2025; Tong et al., VideoMAE, 2022; Ni et al., Expanding Language-Image Pretrained
    Models for General Video Recognition, 2022.

    Args:
        config: has the network's description.
    """

    settings = HFVideoConfig

    def __init__(self, config: HFVideoConfig) -> None:
        super().__init__()
        self.kind = str(config.architecture.get("model_type"))
        self.family, whole, self.net = build("hf_video", config.architecture, VIDEO_FAMILIES)
        self.dim = setting(whole, self.family.dim)
        self.side, self.frames = setting(whole, self.family.side), setting(whole, self.family.frames)

    def forward(self, clips: Tensor, lengths: Tensor | None) -> TrunkFeatures:  # noqa: ARG002
        """Embed clips.

        Args:
            clips: (N, 3, T, H, W), standardised; of the network's own number of frames and size.
            lengths: are ignored.

        Returns:
            (N, ``dim``) features, and no attention.

        Raises:
            ConfigError: there are more or fewer frames, or they are of another size.
        """
        if clips.shape[2] != self.frames:
            raise ConfigError(
                f"slice.frames={clips.shape[2]}: {self.kind} of these weights takes {self.frames}, as its "
                f"positions are of so many; leave slice.frames at {self.frames}"
            )
        check_side(self.kind, clips, self.side)
        pixels = {self.family.pixels: clips.transpose(1, 2).contiguous()}
        outputs = getattr(self.net, self.family.method)(**pixels, **self.family.options)
        features: Tensor = getattr(outputs, self.family.output)
        return TrunkFeatures(features.mean(1) if self.family.output == "last_hidden_state" else features)

    def parts(self) -> Iterable[nn.Module]:
        """The layers."""
        return layers_of(self.net)


class HFFrames(FrameNet):
    """An image network of ``transformers``: CLIP, SigLIP 2, DINOv2 or DINOv3.

    Its feature maps are the patches after each layer.

    Args:
        spec: the encoder's name, for errors.
        architecture: what its ``config.json`` holds.
    """

    def __init__(self, spec: str, architecture: Mapping[str, Any]) -> None:
        super().__init__()
        self.kind = str(architecture.get("model_type"))
        self.family, whole, self.net = build(spec, architecture, FRAME_FAMILIES)
        config = section_of(self.family, whole)
        self.dim, self.patch = setting(config, self.family.dim), setting(config, "patch_size")
        self.side = setting(config, self.family.side) if self.family.side else None
        self.map_dims = (config.hidden_size,) * config.num_hidden_layers

    def forward(self, frames: Tensor) -> FrameFeatures:
        """See :class:`FrameNet`.

        Raises:
            ConfigError: the frames are of a size that the network does not take.
        """
        check_side(self.kind, frames, self.side)
        rows, columns = (side // self.patch for side in frames.shape[2:])
        outputs = self.net(pixel_values=frames.contiguous(), output_hidden_states=True)
        maps = tuple(
            tokens[:, -rows * columns :].transpose(1, 2).unflatten(2, (rows, columns))
            for tokens in outputs.hidden_states[1:]
        )
        return getattr(outputs, self.family.output), maps

    def parts(self) -> Iterable[nn.Module]:
        """The layers."""
        return layers_of(self.net)


def frame_net(name: str, architecture: Mapping[str, Any]) -> FrameNet:
    """The network of a frame model, see :data:`~sora_video.pretrain.encoders.frame_nets.FRAMES`.

    Args:
        name: of the repository on the hub.
        architecture: the network's config.

    Raises:
        ConfigError: there is no such network, or its package is missing.
    """
    return HFFrames(f"hf:{name}", architecture)


def build(
    spec: str, architecture: Mapping[str, Any], families: Mapping[str, Family]
) -> tuple[Family, Any, nn.Module]:
    """A network's family, its config, and the network with random weights."""
    if not architecture:
        raise ConfigError(
            f"encoder.architecture: is missing for {spec}; name published weights, as in `sora models list`"
        )
    family, config = family_of(spec, architecture, families), hf_config(spec, architecture)
    network = getattr(transformers_library(spec), family.network)(section_of(family, config))
    return family, config, without_unused(network, family)


def check_side(kind: str, pictures: Tensor, side: int | None) -> None:
    """Refuse pictures of a size that a network does not take.

    Args:
        kind: of the network, for the error.
        pictures: (..., H, W).
        side: in pixels, of the square that it takes; None: any.

    Raises:
        ConfigError: they are of another size.
    """
    if side is not None and pictures.shape[-2:] != (side, side):
        raise ConfigError(
            f"slice.size={pictures.shape[-1]}: {kind} of these weights takes pictures of {side} x {side}, as "
            f"its positions are of so many; leave slice.size at {side}"
        )


def layers_of(network: nn.Module) -> list[nn.Module]:
    """The layers of a network's outermost lists of layers; its children where it has no lists.

    Args:
        network: of another library.
    """
    lists: dict[str, nn.Module] = {}
    for name, module in network.named_modules():
        if isinstance(module, nn.ModuleList) and not any(name.startswith(f"{outer}.") for outer in lists):
            lists[name] = module
    return [layer for layers in lists.values() for layer in layers.children()] or list(network.children())
