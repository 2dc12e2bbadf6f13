"""``README.md`` of an exported encoder, and where its weights come from."""

import json

from sora_video.configs.schema import PretrainConfig
from sora_video.configs.sections import InitConfig

from ..frozen import VideoEncoder
from ..published.backbone import find_backbone
from ..spec import Part

__all__ = ["card", "lineage", "whitening_row"]

OWN = "not stated: the owner's of the run, within the rights of its videos"


def lineage(part: Part, config: PretrainConfig) -> InitConfig | None:
    """The published weights that an encoder is, or those that its run started from; None: a run from nothing.

    Args:
        part: where the encoder was loaded from.
        config: its config.
    """
    if part.run is not None:
        return config.init
    backbone = find_backbone(part)[1]
    return InitConfig(
        spec=part.published,
        fingerprint=backbone.fingerprint,
        origin=backbone.origin,
        licence=backbone.licence,
    )


def card(part: Part, encoder: VideoEncoder, usage: str) -> str:
    """A model card as Markdown: what it is, what it takes, where it comes from and under which licence.

    Args:
        part: where the encoder was loaded from.
        encoder: the encoder; ``config.init`` is its :func:`lineage`.
        usage: how the folder is used, as a sentence.
    """
    config, ancestor = encoder.config, encoder.config.init
    licence = (ancestor and ancestor.licence) or OWN
    known = licence if part.run is None else "other"
    return f"""---
library_name: sora-video
license: {json.dumps(known)}
tags: [video, embeddings]
---
# {title(part, config)}

It embeds slices of video as {encoder.dim} float32 numbers of norm 1; their dot product says how alike two
slices are. Embeddings of another fingerprint are not comparable with its own.

{usage}

| | |
|---|---|
| slice | {takes(config)} |
{whitening_row(config)}\
| origin | {origin(part, ancestor)} |
| licence | {licence}{" of the weights that it started from" if part.run and licence != OWN else ""} |
| fingerprint | `{encoder.fingerprint}` |

`preprocessing.json` says how a film becomes what it takes: which pictures, scaled how, in which arrays.
{story(part)}"""


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


def whitening_row(config: PretrainConfig) -> str:
    """The row that says by what features are divided; empty where they are left as they are.

    Args:
        config: of the encoder.
    """
    power = config.encoder.whiten
    return f"| whitening | by the power {power:g} of the spread over slices of video |\n" if power else ""


def origin(part: Part, ancestor: InitConfig | None) -> str:
    """Where the weights come from, in words."""
    if ancestor is None:
        return "a run of sora-video, from random weights"
    if part.run is None:
        return ancestor.origin
    return f"a run of sora-video that started from {ancestor.spec}, {ancestor.origin}"


def story(part: Part) -> str:
    """The model card of the run itself; empty where there is none."""
    told = part.run / "README.md" if part.run else None
    return f"\n---\n\n{told.read_text(encoding='utf-8')}" if told and told.is_file() else ""
