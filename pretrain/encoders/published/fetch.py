"""Fetching a published encoder: the only step that uses the network."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sora_video.base.digests import file_sha256
from sora_video.base.errors import ConfigError
from sora_video.base.files import write_json
from sora_video.base.folders import check_new, new_folder
from sora_video.configs.nested import leaves

from ..frozen import VideoEncoder
from ..spec import Part, parse_spec
from .backbone import BACKBONE, Backbone, config_of
from .clip import embed_clip
from .faults import one_line
from .load import load_network, versions
from .network import offline
from .source import Description, Source, find_source

__all__ = ["fetch_model"]

SECTIONS = ("encoder.", "slice.")
OF_THE_WEIGHTS = ("name", "frame", "architecture", "input", "whiten")
"""Settings of an encoder that say which network it is."""


def fetch_model(
    model: str, out: Path, settings: Mapping[str, Mapping[str, Any]] | None = None, given: Path | None = None
) -> Backbone:
    """Fetch a published encoder's weights into a folder, and write down what they are.

    Args:
        model: ``KIND:NAME``.
        out: the folder; it must not exist, or be empty. It appears whole or not at all.
        settings: of the sections ``encoder`` and ``slice``, those that replace the encoder's own.
        given: a file or folder with the weights; None: they are fetched from where they are published.

    Returns:
        What is written down.

    Raises:
        ConfigError: there is no such encoder, it cannot be reached, the folder is not empty, or a setting is
            wrong.
        RunError: the weights do not fit.
        StorageError: the disk refused the write.
    """
    (part, *others) = parse_spec(model)
    if others or part.run is not None or part.folder is not None or part.by:
        raise ConfigError(f"model {model}: must be one published encoder, KIND:NAME; see `sora models list`")
    out, settings = check_new("--out", out), settings or {}
    if unknown := [f"{key}={value!r}" for key, value in leaves(settings) if not key.startswith(SECTIONS)]:
        raise ConfigError(f"{unknown[0]}: is no setting of encoder or slice; leave it out")
    source = find_source(part.kind)
    if not source.is_installed():
        raise ConfigError(
            f"model {model}: needs the packages {', '.join(source.modules)}; install "
            f"sora-video[{source.extra}]"
        )
    with new_folder(out) as folder:
        bring(source, part, folder, given and given.expanduser())
        offline()
        return write_down(source, part, folder, settings)


def bring(source: Source, part: Part, folder: Path, given: Path | None) -> None:
    """Let a source write its files."""
    fault = f"model {part}: cannot be fetched"
    remedy = "check the name, the network, and whether the hub asks for an account"
    if given is not None:
        fault, remedy = f"--from {given}", f"name the weights of {part}"
    with one_line(ConfigError, fault, remedy):
        source.fetch(part.name, folder, given)


def write_down(
    source: Source, part: Part, folder: Path, settings: Mapping[str, Mapping[str, Any]]
) -> Backbone:
    """Build the encoder from the fetched files, and write the description."""
    files = {path.name: file_sha256(path) for path in sorted(folder.iterdir())}
    with one_line(ConfigError, f"model {part}: its config cannot be read", "choose another encoder"):
        description = source.describe(part.name, folder)
    check_network(part, description, settings.get("encoder", {}))
    backbone = Backbone(
        spec=part.published,
        origin=description.origin,
        licence=description.licence,
        files=files,
        encoder={**description.encoder, **settings.get("encoder", {})},
        slice={**description.slice, **settings.get("slice", {})},
        fingerprint="",
        libraries=versions(part.kind),
        check=[],
    )
    config = config_of(backbone)
    encoder = VideoEncoder(load_network(source, part, folder, config), config, "cpu")
    check = [round(float(value), 7) for value in embed_checked(encoder, part)]
    backbone = backbone.model_copy(update={"fingerprint": encoder.fingerprint, "check": check})
    write_json(folder / BACKBONE, backbone.model_dump(mode="json"))
    return backbone


def embed_checked(encoder: VideoEncoder, part: Part) -> NDArray[np.float32]:
    """The embedding of the synthetic clip.

    Raises:
        ConfigError: the network does not take slices as they are set, or embeds this one as zeros.
    """
    with one_line(ConfigError, f"model {part}: does not take such slices", "leave the settings of slice out"):
        embedding = embed_clip(encoder)
    if not embedding.any():
        raise ConfigError(
            f"model {part}: embeds a film that moves as zeros; motion needs two frames or more "
            "(slice.frames), and weights must not be zero or huge"
        )
    return embedding


def check_network(part: Part, description: Description, given: Mapping[str, Any]) -> None:
    """Refuse settings that make another network of it, which its weights do not fit.

    Raises:
        ConfigError: one does.
    """
    own = {"input": "rgb", "whiten": 0, **description.encoder}
    for key in OF_THE_WEIGHTS:
        if key in given and given[key] != own.get(key):
            raise ConfigError(
                f"encoder.{key}={given[key]}: the weights of {part} are of encoder.{key}={own.get(key)}; "
                "leave it out"
            )
