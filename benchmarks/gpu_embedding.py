"""Slices a second of published encoders with random weights, each at its own input size."""

import json
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch

from sora_video.configs.loader import check_settings
from sora_video.configs.schema import PretrainConfig
from sora_video.pretrain.encoders.published.source import SOURCES, Description, Source, find_source
from sora_video.pretrain.encoders.registry import build_encoder

__all__ = ["describe", "embedding", "listed"]

FAMILIES = {
    "facebook/vjepa2-vitl-fpc64-256": "vjepa2",
    "MCG-NJU/videomae-base": "videomae",
    "microsoft/xclip-base-patch32": "xclip",
    "laion/CLIP-ViT-B-32-laion2B-s34B-b79K": "clip",
    "google/siglip2-base-patch16-224": "siglip",
    "facebook/dinov2-base": "dinov2",
    "facebook/dinov3-vits16-pretrain-lvd1689m": "dinov3_vit",
}
"""``model_type`` by the name on the hub; the settings that transformers has for it are that encoder's."""
ONE_LAYER = {"num_hidden_layers": 1}
SMALL: dict[str, dict[str, Any]] = {
    "vjepa2": {**ONE_LAYER, "frames_per_clip": 4, "crop_size": 64},
    **{key: {"vision_config": ONE_LAYER, "text_config": ONE_LAYER} for key in ("clip", "siglip", "xclip")},
}
"""What makes networks small; of others, a single layer."""
FEW = (
    "package:efficientnet_lite0",
    "torchvision:r3d_18",
    "timm:mobilenetv3_large_100.ra_in1k",
    "open_clip:laion/CLIP-ViT-B-32-laion2B-s34B-b79K",
)
"""Those that are small anyway, beside the families of transformers made small."""
GREY = {"image_mean": [0.5] * 3, "image_std": [0.5] * 3}


def listed(small: bool) -> Iterator[tuple[str, Source]]:
    """All published encoders that ``sora models list`` shows, with their sources.

    Args:
        small: a few of them, to try it.
    """
    for kind in SOURCES.names():
        source = find_source(kind)
        for name in source.listed():
            if not small or kind == "hf" or f"{kind}:{name}" in FEW:
                yield f"{kind}:{name}", source


def describe(model: str, small: bool = False) -> Description:
    """An encoder's network and preprocessing, as its library knows them without the network.

    Args:
        model: ``KIND:NAME``.
        small: make the network small.
    """
    kind, _, name = model.partition(":")
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        if kind in CONFIGS:
            for file, settings in CONFIGS[kind](name, small).items():
                (folder / file).write_text(json.dumps(settings), encoding="utf-8")
        return find_source(kind).describe(name, folder)


def hf_files(name: str, small: bool) -> dict[str, Any]:
    """The files of an encoder of transformers."""
    family = FAMILIES[name]
    changed = SMALL.get(family, ONE_LAYER) if small else {}
    side = changed.get("crop_size") or int(find_source("hf").listed()[name].input.split(" x ")[-1])
    picture = {"size": {"height": side, "width": side}, **GREY}
    return {"config.json": {"model_type": family, **changed}, "preprocessor_config.json": picture}


def timm_files(name: str, small: bool) -> dict[str, Any]:  # noqa: ARG001
    """The file of an encoder of timm."""
    from timm.models import get_pretrained_cfg

    stated = get_pretrained_cfg(name).to_dict()
    return {"config.json": {"architecture": stated["architecture"], "pretrained_cfg": stated}}


def open_clip_files(name: str, small: bool) -> dict[str, Any]:  # noqa: ARG001
    """The file of an encoder of open_clip."""
    from open_clip import get_model_config, list_pretrained
    from open_clip.pretrained import get_pretrained_cfg

    for architecture, tag in list_pretrained():
        stated = get_pretrained_cfg(architecture, tag)
        if stated.get("hf_hub", "").strip("/") == name:
            config = {"model_cfg": get_model_config(architecture), "preprocess_cfg": stated}
            return {"open_clip_config.json": config}
    raise KeyError(name)


CONFIGS: dict[str, Callable[[str, bool], dict[str, Any]]] = {
    "hf": hf_files,
    "timm": timm_files,
    "open_clip": open_clip_files,
}


def embedding(model: str, device: str, small: bool) -> str:
    """Slices a second of a published encoder.

    Args:
        model: ``KIND:NAME``.
        device: to compute on.
        small: one slice at a time, for a moment, by a small network.
    """
    described = describe(model, small)
    config = check_settings(PretrainConfig, {"encoder": described.encoder, "slice": described.slice})
    wanted, rates = config.slice, []
    network = build_encoder(config.encoder, seed=0).eval().to(device)
    batch = 1 if small else 8
    clips = torch.rand(batch, wanted.frames, wanted.size, wanted.size, 3, device=device).permute(
        0, 4, 1, 2, 3
    )
    for dtype in (torch.bfloat16, torch.float32):
        with torch.inference_mode(), torch.autocast(device, dtype, enabled=dtype == torch.bfloat16):
            rates.append(batch / seconds_of(lambda: network(clips), 0.1 if small else 1.0, device))
    shape = f"{wanted.frames} x {wanted.size} x {wanted.size}"
    return f"{rates[0]:.1f} slices/s in bf16, {rates[1]:.1f} in float32 ({shape})"


def seconds_of(step: Callable[[], object], least_s: float, device: str) -> float:
    """Mean seconds of a step, after two to warm up."""

    def settle() -> None:
        if device == "cuda":
            torch.cuda.synchronize()

    for _ in range(2):
        step()
    settle()
    began, count = time.perf_counter(), 0
    while time.perf_counter() - began < least_s:
        step()
        settle()
        count += 1
    return (time.perf_counter() - began) / count
