"""Image towers of ``open_clip`` as encoders of single frames, in one space with texts."""

from collections.abc import Iterable, Mapping, Sequence
from importlib.util import find_spec
from math import exp
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from sora_video.base.errors import ConfigError

from ..frame_nets import FrameFeatures, FrameNet
from ..words import Words
from .fit import fit_weights
from .hf_nets import check_side, layers_of
from .hub import bring_files, check_tokenizer, licence_of, read_json, read_tensors
from .preprocessing import Picture, slice_of
from .source import FRAME_SLICE, Description, Listed, Source

__all__ = ["OpenCLIP", "build_model", "frame_net"]

CONFIG = "open_clip_config.json"
FILES = (
    CONFIG,
    "open_clip_model.safetensors",
    "tokenizer*.json",
    "tokenizer.model",
    "spiece.model",
    "special_tokens_map.json",
    "vocab.json",
    "merges.txt",
)


SIDE = 224
"""Of pictures, in pixels, where a config states none."""


class OpenCLIPFrames(FrameNet):
    """The image tower of a CLIP (Ilharco et al., OpenCLIP, 2021), projected to the space of texts.

    Args:
        name: the encoder's, for errors.
        architecture: the ``model_cfg`` of its config.
    """

    def __init__(self, name: str, architecture: Mapping[str, Any]) -> None:
        super().__init__()
        self.net: Any = build_model(name, architecture).visual
        self.dim, self.side = architecture["embed_dim"], architecture["vision_cfg"].get("image_size", SIDE)

    def forward(self, frames: Tensor) -> FrameFeatures:
        """See :class:`FrameNet`.

        Raises:
            ConfigError: the frames are of a size that the network does not take.
        """
        check_side("open_clip", frames, self.side)
        return self.net(frames), ()

    def parts(self) -> Iterable[nn.Module]:
        """The layers."""
        blocks = getattr(getattr(self.net, "transformer", None), "resblocks", None)
        return list(blocks) if blocks is not None else layers_of(self.net)


class OpenCLIP(Source):
    """See the module. A name is ``OWNER/NAME`` on the hub."""

    extra, modules = "open-clip", ("open_clip",)

    def listed(self) -> Mapping[str, Listed]:
        """See :meth:`Source.listed`."""
        return {
            "laion/CLIP-ViT-B-32-laion2B-s34B-b79K": Listed("MIT", 605, "4 x 224 x 224"),
            "timm/ViT-B-16-SigLIP2": Listed("Apache-2.0", 1501, "4 x 224 x 224"),
        }

    def fetch(self, name: str, folder: Path, given: Path | None = None) -> None:
        """See :meth:`Source.fetch`; given is a folder with ``open_clip_config.json`` and weights."""
        bring_files(f"open_clip:{name}", name, folder, FILES, given)

    def describe(self, name: str, folder: Path) -> Description:
        """See :meth:`Source.describe`."""
        config = read_json(folder, CONFIG, f"open_clip:{name}")
        try:
            architecture, picture = config["model_cfg"], picture_of(name, config)
        except (KeyError, TypeError) as error:
            raise ConfigError(
                f"model open_clip:{name}: {CONFIG} states no {error}; choose another encoder"
            ) from error
        return Description(
            origin=f"https://huggingface.co/{name}",
            licence=licence_of(folder),
            encoder={
                "name": "frames",
                "frame": f"open_clip:{name}",
                "architecture": architecture,
                **picture.standard,
            },
            slice=slice_of(picture, *FRAME_SLICE),
        )

    def weights(self, name: str, folder: Path, network: nn.Module) -> Mapping[str, Tensor]:
        """See :meth:`Source.weights`."""
        spec = f"open_clip:{name}"
        stored = read_tensors(folder, spec, "visual.")
        return fit_weights(spec, stored, network, "trunks.rgb.net.net.", "visual.")

    def words(self, name: str, folder: Path) -> Words:
        """See :meth:`Source.words`."""
        return OpenCLIPWords(name, folder)


class OpenCLIPWords(Words):
    """The text tower of a CLIP.

    Args:
        name: the encoder's.
        folder: has its files.

    Raises:
        ConfigError: the tokenizer is missing.
        RunError: the weights cannot be read, or do not fit.
    """

    def __init__(self, name: str, folder: Path) -> None:
        spec = f"open_clip:{name}"
        architecture = read_json(folder, CONFIG, spec)["model_cfg"]
        if architecture["text_cfg"].get("hf_tokenizer_name"):
            check_tokenizer(folder, spec)
        self.network = build_model(name, architecture)
        weights = fit_weights(spec, read_tensors(folder, spec), self.network, "")
        self.network.load_state_dict(weights)
        from open_clip import get_tokenizer

        try:
            self.tokenizer = get_tokenizer(f"local-dir:{folder}")
        except (OSError, ValueError) as error:
            line = " ".join(str(error).split())
            raise ConfigError(
                f"model {spec}: its tokenizer cannot be read: {line}; fetch it again"
            ) from error
        self.temperature = exp(-weights["logit_scale"].item())

    def embed(self, texts: Sequence[str]) -> Tensor:
        """See :meth:`Words.embed`."""
        with torch.inference_mode():
            features: Tensor = self.network.eval().encode_text(self.tokenizer(list(texts)))
        return features


def frame_net(name: str, architecture: Mapping[str, Any]) -> FrameNet:
    """The network of a frame model, see :data:`~sora_video.pretrain.encoders.frame_nets.FRAMES`.

    Args:
        name: of the repository on the hub.
        architecture: the network's config.

    Raises:
        ConfigError: there is no such network, or its package is missing.
    """
    return OpenCLIPFrames(name, architecture)


def build_model(name: str, architecture: Mapping[str, Any]) -> Any:
    """Both towers, with random weights; nothing is fetched.

    Args:
        name: the encoder's, for errors.
        architecture: the ``model_cfg`` of its config.

    Raises:
        ConfigError: it is no such config, has a tower of another library, or the package is missing.
    """
    if find_spec("open_clip") is None:
        raise ConfigError(
            f"model open_clip:{name}: the package open_clip_torch is missing; install sora-video[open-clip]"
        )
    if missing := {"embed_dim", "vision_cfg", "text_cfg"} - architecture.keys():
        raise ConfigError(
            f"encoder.architecture: lacks {min(missing)} of open_clip:{name}; see `sora models list`"
        )
    from open_clip import CLIP, CustomTextCLIP

    settings = dict(architecture)
    if settings["text_cfg"].get("hf_model_name"):
        raise ConfigError(
            f"model open_clip:{name}: its text tower is of transformers, which cannot be taken; choose "
            "another"
        )
    vision = {**settings.pop("vision_cfg"), "timm_model_pretrained": False}
    network = CustomTextCLIP if settings.pop("custom_text", False) else CLIP
    settings.pop("multimodal_cfg", None)
    try:
        return network(vision_cfg=vision, **settings)
    except (RuntimeError, TypeError, ValueError) as error:
        line = " ".join(str(error).split())
        raise ConfigError(f"model open_clip:{name}: cannot be built: {line}; choose another") from error


def picture_of(name: str, config: Mapping[str, Any]) -> Picture:
    """How frames reach a network, as its config states it."""
    size, stated = config["model_cfg"]["vision_cfg"].get("image_size", SIDE), config["preprocess_cfg"]
    interpolation, mode = stated.get("interpolation", "bicubic"), stated.get("resize_mode", "shortest")
    if not isinstance(size, int) or interpolation not in ("bicubic", "bilinear") or mode == "longest":
        raise ConfigError(
            f"model open_clip:{name}: takes {size}, {interpolation}, {mode}; squares, bicubic or bilinear, "
            "by the short side or squeezed can be taken"
        )
    return Picture(
        size=size,
        resize=size if mode == "shortest" else None,
        interpolation=interpolation,
        mean=[float(value) for value in stated["mean"]],
        std=[float(value) for value in stated["std"]],
    )
