"""Versions, devices and decoders of this machine, and what is missing."""

import platform
import sys
from importlib.metadata import PackageNotFoundError, version
from typing import Any

__all__ = ["examine"]

PACKAGES = [
    "torch",
    "torchvision",
    "decord2",
    "av",
    "faiss-gpu",
    "faiss-cpu",
    "lightly",
    "pytorch-lightning",
    "pyarrow",
    "transformers",
    "timm",
    "open_clip_torch",
    "wandb",
]


def examine() -> dict[str, Any]:
    """Versions, devices, FAISS build and decoders.

    Returns:
        Facts by name, and under ``"missing"`` what commands lack, with remedies.
    """
    import av
    import faiss
    import torch

    from sora_video.configs.schema import OptimConfig
    from sora_video.pretrain.training.ranks import uses_bf16

    gpus = [torch.cuda.get_device_name(number) for number in range(torch.cuda.device_count())]
    decoders = {
        name: name in av.codecs_available
        for name in ("h264", "hevc", "vp8", "vp9", "libdav1d", "mpeg4", "mpeg2video")
    }
    facts: dict[str, Any] = {
        "python": sys.version.split()[0],
        "platform": platform.platform(),
        "packages": {name: found for name in PACKAGES if (found := installed(name))},
        "processors": torch.get_num_threads(),
        "gpus": gpus,
        "bf16": uses_bf16(OptimConfig()),
        "faiss_build": "GPU" if hasattr(faiss, "StandardGpuResources") else "CPU",
        "faiss_gpus": faiss.get_num_gpus() if hasattr(faiss, "get_num_gpus") else 0,
        "decoders": [name for name, present in decoders.items() if present],
    }
    facts["missing"] = [
        f"decoder {name}: its files cannot be read; install an av wheel that has it"
        for name, present in decoders.items()
        if not present
    ]
    if not gpus:
        facts["missing"].append("GPU: the processor computes; choose small encoders such as r3d_tiny")
    if installed("faiss-gpu") and installed("faiss-cpu"):
        facts["missing"].append("one FAISS: both builds are installed; pip uninstall faiss-cpu")
    return facts


def installed(name: str) -> str | None:
    """A package's version, or None."""
    try:
        return version(name)
    except PackageNotFoundError:
        return None
