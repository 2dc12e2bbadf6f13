"""Encoders of ``transformers``: of whole slices, and of single frames."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from sora_video.base.errors import RunError

from ..words import Words
from .fit import fit_weights
from .hf_families import (
    FRAME_FAMILIES,
    VIDEO_FAMILIES,
    family_of,
    hf_config,
    setting,
    transformers_library,
    without_unused,
)
from .hf_words import HFWords, has_words
from .hub import bring_files, licence_of, read_json
from .preprocessing import hf_picture, slice_of
from .source import FRAME_SLICE, Description, Listed, Source

__all__ = ["HuggingFace"]

FILES = (
    "config.json",
    "preprocessor_config.json",
    "video_preprocessor_config.json",
    "processor_config.json",
    "model*.safetensors",
    "model.safetensors.index.json",
    "tokenizer*.json",
    "tokenizer.model",
    "spiece.model",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "merges.txt",
)
NOTES = {"architectures", "transformers_version", "dtype", "torch_dtype", "id2label", "label2id"}
"""Settings of a config that do not say what the network is."""


class HuggingFace(Source):
    """See the module. A name is ``OWNER/NAME`` on the hub."""

    extra, modules = "hf", ("transformers", "huggingface_hub")

    def listed(self) -> Mapping[str, Listed]:
        """See :meth:`Source.listed`."""
        return {
            "facebook/vjepa2-vitl-fpc64-256": Listed("MIT", 1304, "64 x 256 x 256"),
            "MCG-NJU/videomae-base": Listed("CC-BY-NC-4.0", 377, "16 x 224 x 224"),
            "microsoft/xclip-base-patch32": Listed("MIT", 787, "8 x 224 x 224"),
            "laion/CLIP-ViT-B-32-laion2B-s34B-b79K": Listed("MIT", 605, "4 x 224 x 224"),
            "google/siglip2-base-patch16-224": Listed("Apache-2.0", 1501, "4 x 224 x 224"),
            "facebook/dinov2-base": Listed("Apache-2.0", 346, "4 x 224 x 224"),
            "facebook/dinov3-vits16-pretrain-lvd1689m": Listed("DINOv3 License", 86, "4 x 224 x 224"),
        }

    def fetch(self, name: str, folder: Path, given: Path | None = None) -> None:
        """See :meth:`Source.fetch`; given is a folder as ``save_pretrained`` writes it."""
        bring_files(f"hf:{name}", name, folder, FILES, given)

    def describe(self, name: str, folder: Path) -> Description:
        """See :meth:`Source.describe`."""
        spec, architecture = f"hf:{name}", architecture_of(name, folder)
        family = family_of(spec, architecture, {**VIDEO_FAMILIES, **FRAME_FAMILIES})
        picture = hf_picture(folder, spec)
        if family.frames:
            network = {"name": "hf_video"}
            frames = setting(hf_config(spec, architecture), family.frames)
            slices = slice_of(picture, frames, family.fps)
        else:
            network = {"name": "frames", "frame": spec}
            slices = slice_of(picture, *FRAME_SLICE)
        return Description(
            origin=f"https://huggingface.co/{name}",
            licence=licence_of(folder),
            encoder={**network, "architecture": architecture, **picture.standard},
            slice=slices,
        )

    def weights(self, name: str, folder: Path, network: nn.Module) -> Mapping[str, Tensor]:
        """See :meth:`Source.weights`; the library renames what older versions of it called otherwise."""
        spec, architecture = f"hf:{name}", architecture_of(name, folder)
        family = family_of(spec, architecture, {**VIDEO_FAMILIES, **FRAME_FAMILIES})
        try:
            loaded, report = getattr(transformers_library(spec), family.network).from_pretrained(
                folder,
                dtype=torch.float32,
                local_files_only=True,
                use_safetensors=True,
                output_loading_info=True,
            )
        except (OSError, RuntimeError, SafetensorError, ValueError) as error:
            line = " ".join(str(error).split())
            raise RunError(f"model {spec}: its weights cannot be read: {line}; fetch it again") from error
        missing = sorted(key for key in report["missing_keys"] if key.split(".")[0] not in family.unused)
        if missing:
            raise RunError(f"model {spec}: weight {missing[0]} is missing; fetch it again")
        prefix = "trunks.rgb.net." if family.frames else "trunks.rgb.net.net."
        return fit_weights(spec, without_unused(loaded, family).state_dict(), network, prefix)

    def words(self, name: str, folder: Path) -> Words | None:
        """See :meth:`Source.words`."""
        architecture = architecture_of(name, folder)
        return HFWords(name, folder, architecture) if has_words(architecture) else None


def architecture_of(name: str, folder: Path) -> dict[str, Any]:
    """What ``config.json`` says of the network, without notes and paths."""
    config = read_json(folder, "config.json", f"hf:{name}")
    return trimmed(config)


def trimmed(config: Mapping[str, Any]) -> dict[str, Any]:
    """A config and its sections without notes, and without settings that start with an underscore."""
    return {
        key: trimmed(value) if isinstance(value, Mapping) else value
        for key, value in config.items()
        if key not in NOTES and not key.startswith("_")
    }
