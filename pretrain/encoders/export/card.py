"""``README.md`` of an exported encoder."""

from sora_video.configs.schema import PretrainConfig

from ..frozen import VideoEncoder
from ..published.backbone import find_backbone
from ..spec import Part

__all__ = ["card"]

OWN = "not stated: a run's weights are its owner's, within the rights of its videos"


def card(part: Part, encoder: VideoEncoder, usage: str) -> str:
    """A model card as Markdown: what it is, what it takes, where it comes from and under which licence.

    Args:
        part: where the encoder was loaded from.
        encoder: the encoder.
        usage: how the folder is used, as a sentence.
    """
    origin, licence, story = ancestry(part)
    return f"""---
library_name: sora-video
license: {licence if part.run is None else "other"}
tags: [video, embeddings]
---
# {title(part, encoder.config)}

It embeds slices of video as {encoder.dim} float32 numbers of norm 1; their dot product says how alike two
slices are. Embeddings of another fingerprint are not comparable with its own.

{usage}

| | |
|---|---|
| slice | {takes(encoder.config)} |
| origin | {origin} |
| licence | {licence} |
| fingerprint | `{encoder.fingerprint}` |

`preprocessing.json` says how a film becomes what it takes: which pictures, scaled how, in which arrays.
{story}"""


def title(part: Part, config: PretrainConfig) -> str:
    """What the encoder is called."""
    return part.published if part.run is None else f"{config.encoder.name}, pretrained by sora-video"


def takes(config: PretrainConfig) -> str:
    """What a slice is, in words."""
    wanted = config.slice
    shape = "stretched" if wanted.resize is None else f"the middle of pictures resized to {wanted.resize}"
    sound = ", with its sound at 16 kHz" if config.encoder.has_audio else ""
    return (
        f"{wanted.frames} frames at {wanted.fps:g} a second ({wanted.length_s:g} s), {wanted.size} px "
        f"square, {shape} ({wanted.interpolation}){sound}"
    )


def ancestry(part: Part) -> tuple[str, str, str]:
    """Where an encoder comes from, its licence, and what else its own model card says."""
    if part.run is None:
        backbone = find_backbone(part)[1]
        return backbone.origin, backbone.licence, ""
    told = part.run / "README.md"
    text = told.read_text(encoding="utf-8") if told.is_file() else ""
    return "a run of sora-video" + (", see below" if text else ""), OWN, f"\n---\n\n{text}" if text else ""
