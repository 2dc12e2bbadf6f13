"""From the preprocessing that a library writes down to the settings of slices."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from sora_video.base.errors import ConfigError

from .hub import read_json

__all__ = ["Picture", "hf_picture", "slice_of"]

HF_FILES = {
    "video_preprocessor_config.json": (),
    "preprocessor_config.json": (),
    "processor_config.json": ("video_processor", "image_processor"),
}
"""Where transformers writes a processor's settings, and in which of a file's sections."""
INTERPOLATIONS = {2: "bilinear", 3: "bicubic"}
"""Pillow's numbers."""


class Picture(NamedTuple):
    """How frames reach an encoder."""

    size: int
    """Side in pixels."""
    resize: int | tuple[int, int] | None
    """See :attr:`sora_video.configs.schema.SliceConfig.resize`."""
    interpolation: str
    mean: list[float]
    std: list[float]

    @property
    def standard(self) -> dict[str, Any]:
        """The settings of the ``encoder`` section."""
        return {"mean": list(self.mean), "std": list(self.std)}


def slice_of(picture: Picture, frames: int, fps: float) -> dict[str, Any]:
    """The ``slice`` section.

    Args:
        picture: how frames reach the encoder.
        frames: of a slice.
        fps: frames a second.
    """
    return {
        "frames": frames,
        "fps": fps,
        "size": picture.size,
        "resize": picture.resize,
        "interpolation": picture.interpolation,
    }


def hf_picture(folder: Path, spec: str) -> Picture:
    """How frames reach an encoder of ``transformers``.

    Args:
        folder: has its files.
        spec: its name, for errors.

    Raises:
        ConfigError: that is not written down, or is nothing that can be done here.
    """
    settings = hf_settings(folder, spec)
    size, crop = settings.get("size"), settings.get("crop_size")
    resize = sides(size) if settings.get("do_resize", True) else None
    square = sides(crop) if settings.get("do_center_crop", crop is not None) and crop is not None else resize
    side = square if isinstance(square, int) else (square or (0, 1))[0]
    if square not in (side, (side, side)) or side == 0:
        raise ConfigError(f"model {spec}: takes {size} and crops {crop}; only squares can be taken")
    scale = settings.get("rescale_factor", 1 / 255) if settings.get("do_rescale", True) else 1.0
    if abs(scale * 255 - 1) > 1e-3:
        raise ConfigError(f"model {spec}: scales pixels by {scale}; only by 1/255 can be taken")
    resample = settings.get("resample", 2)
    if resample not in INTERPOLATIONS:
        raise ConfigError(f"model {spec}: resample={resample} is not known; choose another encoder")
    normal = settings.get("do_normalize", True)
    return Picture(
        size=side,
        resize=None if resize == (side, side) else resize,
        interpolation=INTERPOLATIONS[resample],
        mean=[float(value) for value in settings["image_mean"]] if normal else [0.0] * 3,
        std=[float(value) for value in settings["image_std"]] if normal else [1.0] * 3,
    )


def hf_settings(folder: Path, spec: str) -> Mapping[str, Any]:
    """A processor's settings."""
    for name, sections in HF_FILES.items():
        if (folder / name).is_file():
            read = read_json(folder, name, spec)
            inner = [read[section] for section in sections if section in read] or [read]
            if "image_mean" in inner[0] or not inner[0].get("do_normalize", True):
                return dict(inner[0])
    raise ConfigError(
        f"model {spec}: its preprocessing is not written down (preprocessor_config.json is missing); add it"
    )


def sides(size: Any) -> int | tuple[int, int] | None:
    """A short side, or height and width, in any of the forms that there are."""
    if isinstance(size, int):
        return size
    if not isinstance(size, Mapping):
        return None
    if size.get("height") and size.get("width"):
        return int(size["height"]), int(size["width"])
    return int(size["shortest_edge"]) if size.get("shortest_edge") else None
