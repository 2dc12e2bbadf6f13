"""Fetching a published encoder: the only step that uses the network."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sora_video.base.digests import file_sha256
from sora_video.base.errors import ConfigError, StorageError
from sora_video.base.files import write_json
from sora_video.base.storage import storage_errors
from sora_video.base.unfinished import sweep, unfinished_folder

from ..frozen import VideoEncoder
from ..registry import build_encoder
from ..spec import Part, parse_spec
from .backbone import BACKBONE, Backbone, config_of
from .clip import embed_clip
from .load import versions
from .network import offline
from .source import Source, find_source

__all__ = ["fetch_model"]


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
    if others or part.run is not None or part.folder is not None:
        raise ConfigError(f"model {model}: must be one published encoder, KIND:NAME; see `sora models list`")
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ConfigError(f"--out {out}: exists already; choose another folder")
    source = find_source(part.kind)
    if not source.is_installed():
        raise ConfigError(
            f"model {model}: needs the packages {', '.join(source.modules)}; install "
            f"sora-video[{source.extra}]"
        )
    with storage_errors(out):
        out.absolute().parent.mkdir(parents=True, exist_ok=True)
        sweep(out.absolute().parent, out.name)
        with unfinished_folder(out.absolute()) as folder:
            bring(source, part, folder, given)
            offline()
            backbone = write_down(source, part.published, part.name, folder, settings or {})
            if out.exists():
                out.rmdir()
            folder.rename(out)
    return backbone


def bring(source: Source, part: Part, folder: Path, given: Path | None) -> None:
    """Let a source write its files."""
    try:
        source.fetch(part.name, folder, given)
    except (StorageError, ConfigError):
        raise
    except (OSError, RuntimeError, ValueError) as error:
        line = " ".join(str(error).split())
        raise ConfigError(
            f"model {part}: cannot be fetched: {line}; check the name, the network, and whether the hub asks "
            "for an account"
        ) from error


def write_down(
    source: Source, spec: str, name: str, folder: Path, settings: Mapping[str, Mapping[str, Any]]
) -> Backbone:
    """Build the encoder from the fetched files, and write the description."""
    files = {path.name: file_sha256(path) for path in sorted(folder.iterdir())}
    description = source.describe(name, folder)
    backbone = Backbone(
        spec=spec,
        origin=description.origin,
        licence=description.licence,
        files=files,
        encoder={**description.encoder, **settings.get("encoder", {})},
        slice={**description.slice, **settings.get("slice", {})},
        fingerprint="",
        libraries=versions(),
        check=[],
    )
    config = config_of(backbone)
    network = build_encoder(config.encoder, seed=0)
    network.load_state_dict(source.weights(name, folder, network))
    encoder = VideoEncoder(network, config, "cpu")
    check = [round(float(value), 7) for value in embed_clip(encoder)]
    backbone = backbone.model_copy(update={"fingerprint": encoder.fingerprint, "check": check})
    write_json(folder / BACKBONE, backbone.model_dump(mode="json"))
    return backbone
