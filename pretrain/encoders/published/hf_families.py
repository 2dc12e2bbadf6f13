"""The families of encoders of ``transformers``, by the ``model_type`` of their config."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from torch import nn

from sora_video.base.errors import ConfigError

__all__ = [
    "FRAME_FAMILIES",
    "VIDEO_FAMILIES",
    "Family",
    "family_of",
    "hf_config",
    "section_of",
    "setting",
    "transformers_library",
    "without_unused",
]


class Family(NamedTuple):
    """One kind of network."""

    network: str
    """The class in ``transformers``."""
    section: str = ""
    """The section of the config that the class takes; empty: all of it."""
    dim: str = "hidden_size"
    """The setting that has the number of features."""
    output: str = "pooler_output"
    """Which output is the embedding; ``last_hidden_state``: the mean of its tokens."""
    method: str = "forward"
    """Which method computes it."""
    options: Mapping[str, Any] = {}
    """More arguments of it."""
    pixels: str = "pixel_values"
    """The argument that takes the pictures."""
    unused: tuple[str, ...] = ()
    """Parts that the embedding does not need."""
    side: str = "image_size"
    """The setting that has the side of the pictures that it takes; empty: any side."""
    frames: str = ""
    """The setting that has the number of frames; empty: it sees single frames."""
    fps: float = 0.0
    """Frames a second that its weights were trained on, which no file states."""


FRAME_FAMILIES = {
    "clip": Family("CLIPVisionModelWithProjection", "vision_config", "projection_dim", "image_embeds"),
    "siglip": Family("SiglipVisionModel", "vision_config"),
    "dinov2": Family("Dinov2Model", side=""),
    "dinov2_with_registers": Family("Dinov2WithRegistersModel", side=""),
    "dinov3_vit": Family("DINOv3ViTModel", side=""),
}
"""Their embeddings: CLIP's is projected to the space of texts; SigLIP's is pooled by attention; DINOv2's and
DINOv3's is the class token after the last normalisation, which is what their linear probes were given."""

VIDEO_FAMILIES = {
    "vjepa2": Family(
        "VJEPA2Model",
        output="last_hidden_state",
        options={"skip_predictor": True},
        pixels="pixel_values_videos",
        unused=("predictor",),
        side="crop_size",
        frames="frames_per_clip",
        fps=4.0,
    ),
    "videomae": Family("VideoMAEModel", output="last_hidden_state", frames="num_frames", fps=7.5),
    "xclip": Family(
        "XCLIPModel",
        dim="projection_dim",
        method="get_video_features",
        unused=(
            "text_model",
            "text_projection",
            "prompts_visual_layernorm",
            "prompts_visual_projection",
            "prompts_generator",
            "logit_scale",
        ),
        side="vision_config.image_size",
        frames="vision_config.num_frames",
        fps=1.0,
    ),
}
"""Frames a second: V-JEPA 2 was trained at 4; VideoMAE on each fourth frame of films of 30; X-CLIP on 8
frames spread over the 10 seconds of a clip of Kinetics, nearly 1 a second."""


def transformers_library(spec: str) -> Any:
    """The library, told to keep its notes to itself.

    Args:
        spec: the encoder's name, for the error.

    Raises:
        ConfigError: it is missing.
    """
    try:
        import transformers
    except ImportError as error:
        raise ConfigError(
            f"model {spec}: the package transformers is missing; install sora-video[hf]"
        ) from error
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    return transformers


def hf_config(spec: str, architecture: Mapping[str, Any]) -> Any:
    """The config of a network.

    Args:
        spec: the encoder's name, for errors.
        architecture: what its ``config.json`` holds.

    Raises:
        ConfigError: it is no config, or the package is missing.
    """
    settings = dict(architecture)
    configs = transformers_library(spec).AutoConfig
    try:
        return configs.for_model(settings.pop("model_type", None), **settings)
    except Exception as error:  # its checks of settings have kinds of their own
        line = " ".join(str(error).split())
        raise ConfigError(
            f"model {spec}: its config is not known to transformers: {line}; choose another encoder"
        ) from error


def family_of(spec: str, architecture: Mapping[str, Any], families: Mapping[str, Family]) -> Family:
    """The family of a network.

    Args:
        spec: the encoder's name, for the error.
        architecture: what its ``config.json`` holds.
        families: to choose from.

    Raises:
        ConfigError: there is none.
    """
    kind = str(architecture.get("model_type"))
    if kind not in families:
        raise ConfigError(
            f"model {spec}: model_type={kind!r} of its config is not known here; choose an encoder of "
            f"{', '.join(families)}"
        )
    return families[kind]


def setting(config: Any, name: str) -> int:
    """A setting of a config.

    Args:
        config: as `transformers` makes it.
        name: dotted.
    """
    for part in name.split("."):
        config = getattr(config, part)
    return int(config)


def section_of(family: Family, config: Any) -> Any:
    """The part of a config that describes a family's network.

    Args:
        family: of the network.
        config: the whole, as `transformers` makes it.
    """
    return getattr(config, family.section) if family.section else config


def without_unused(network: Any, family: Family) -> nn.Module:
    """A network without what its embedding does not need.

    Args:
        network: as `transformers` makes it; it is changed.
        family: of the network.
    """
    for part in family.unused:
        delattr(network, part)
    checked: nn.Module = network
    return checked
