"""What must be the same when a run is continued: the videos, their content, and the settings."""

import hashlib
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError
from torch import Tensor

from sora_video.base.digests import sampled_sha256, text_sha256
from sora_video.base.errors import RunError
from sora_video.configs.nested import leaves
from sora_video.configs.schema import PretrainConfig
from sora_video.pretrain.video.corpus import Corpus

from ..texts import Texts

__all__ = ["check_identity", "identity"]

SAMPLED_FILES = 2000
"""Files of a corpus, evenly spread, of which more than the size is compared."""
SAMPLES = 3
"""Places of a file that are compared: its start, middle and end."""
DIGEST = 8
"""Bytes kept of each file's digest."""
FREE_SECTIONS = ("data.", "tracking.")
FREE = ("checkpoint.every_s", "checkpoint.keep")
"""Settings, and sections of them, that the weights do not depend on: a resume may change them."""
EPOCHS = "optim.epochs"


def identity(corpus: Corpus, config: PretrainConfig, texts: Texts | None = None) -> dict[str, Any]:
    """What :func:`check_identity` compares.

    It holds the size of each file, and of at most ``SAMPLED_FILES`` of them samples of the content, so that a
    large corpus is not read as a whole. Modification times are ignored, since copies have others.

    Args:
        corpus: the videos.
        config: all settings.
        texts: that the run learns, if any.

    Returns:
        Plain values and a (videos, 8) uint8 tensor.
    """
    return {
        "corpus": corpus_digest(corpus),
        "contents": content_digests(corpus),
        "config": config.model_dump(mode="json"),
        **({"texts": texts.digest()} if texts else {}),
    }


def check_identity(
    run: Path,
    state: Mapping[str, Any],
    corpus: Corpus,
    config: PretrainConfig,
    texts: Texts | None = None,
    *,
    extended: bool = False,
) -> None:
    """Refuse to continue a run with other videos or settings than it was started with.

    Args:
        run: the run folder, for messages.
        state: a state of the run; older versions kept less of what is compared.
        corpus: the videos now.
        config: the settings now.
        texts: that the run learns now, if any.
        extended: whether the number of epochs may differ.

    Raises:
        RunError: something differs; the message names the first.
    """
    if state["corpus"] != corpus_digest(corpus):
        raise RunError(
            f"run {run}: was started with other videos than those of {corpus.root}; "
            "resume it with the same videos"
        )
    if "contents" in state:
        changed = (state["contents"] != content_digests(corpus)).any(1).nonzero().flatten().tolist()
        if changed:
            raise RunError(
                f"run {run}: {corpus.videos[changed[0]].video_id} and {len(changed) - 1} other videos "
                "changed since it was started; restore them, or train again"
            )
    if "config" in state:
        check_config(run, state["config"], config, (*FREE, EPOCHS) if extended else FREE)
    if texts and state.get("texts") != texts.digest():
        raise RunError(
            f"run {run}: the texts of {corpus.root} changed since it was started; restore them, or train "
            "again"
        )


def check_config(run: Path, before: Mapping[str, Any], config: PretrainConfig, free: Collection[str]) -> None:
    """Refuse settings that were edited, but for those that may be."""
    try:
        checked = PretrainConfig.model_validate(before, context={"stored": True})
    except ValidationError as error:
        raise RunError(
            f"run {run}: its state is from another version of sora-video; "
            "finish the run with that version, or train again"
        ) from error
    old, new = (dict(leaves(values.model_dump(mode="json"))) for values in (checked, config))
    for key in [*new, *(key for key in old if key not in new)]:
        if new.get(key) != old.get(key) and key not in free and not key.startswith(FREE_SECTIONS):
            raise RunError(
                f"run {run}: config.yaml was edited: {key}={new.get(key)}, it was started with "
                f"{old.get(key)}; restore it, or train again"
            )


def corpus_digest(corpus: Corpus) -> str:
    """A hash of which videos a corpus holds, in which order."""
    return text_sha256(
        "\n".join(f"{video.video_id} {video.start_s} {video.end_s}" for video in corpus.videos)
    )


def content_digests(corpus: Corpus) -> Tensor:
    """(videos, 8) uint8: a digest of each file's size and, for some, of samples of its content."""
    stride = max(1, len(corpus) // SAMPLED_FILES)
    digests = [
        content_digest(video.path, sampled=number % stride == 0) for number, video in enumerate(corpus.videos)
    ]
    return torch.frombuffer(bytearray(b"".join(digests)), dtype=torch.uint8).view(-1, DIGEST)


def content_digest(path: Path, *, sampled: bool) -> bytes:
    """A digest of one file; a fixed one where it cannot be read."""
    try:
        if sampled:
            return sampled_sha256(path, SAMPLES)[:DIGEST]
        return hashlib.sha256(str(path.stat().st_size).encode()).digest()[:DIGEST]
    except OSError:
        return hashlib.sha256(b"unreadable").digest()[:DIGEST]
