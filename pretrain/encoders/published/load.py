"""From a published encoder's name to a frozen encoder; nothing is fetched, and nothing in a file is run."""

from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from sora_video.base.errors import ConfigError, RunError
from sora_video.configs.parts import ENCODERS, EncoderConfig
from sora_video.configs.schema import PretrainConfig

from ..frozen import VideoEncoder
from ..registry import Encoder, build_encoder
from ..spec import Part
from ..words import Words, without_words
from .backbone import check_files, config_of, find_backbone
from .clip import differs, embed_clip
from .faults import one_line
from .network import offline
from .source import SOURCES, Source, find_source

__all__ = ["load_network", "load_published", "load_published_words", "versions"]

LIBRARIES = ("torch", "torchvision", "transformers", "timm", "open_clip_torch", "efficientnet-lite-pytorch")


def load_published(part: Part, device: str | None = None, by: str | None = None) -> VideoEncoder:
    """Load a published encoder from this machine.

    Args:
        part: names it.
        device: torch device to compute on; None: a GPU if there is one.
        by: see :class:`.VideoEncoder`.

    Returns:
        The encoder with its own preprocessing.

    Raises:
        ConfigError: there is no such encoder, its weights are not here, or a package is missing.
        RunError: its files are not those that were fetched, or it no longer computes what it did.
    """
    offline()
    folder, backbone = find_backbone(part)
    check_files(folder, backbone.files, str(part))
    config = config_of(backbone)
    network = load_network(find_source(part.kind), part, folder, config)
    words = partial(load_words, part, folder, config.encoder)
    encoder = VideoEncoder(network, config, device, by, words=words)
    if encoder.fingerprint != backbone.fingerprint or differs(embed_clip(encoder), backbone.check):
        now = versions(part.kind)
        changed = [
            f"{name} was {before}, is {now.get(name, 'missing')}"
            for name, before in backbone.libraries.items()
            if now.get(name) != before
        ]
        raise RunError(
            f"model {part}: it no longer computes what it did when it was fetched"
            f" ({'; '.join(changed) or 'no library has changed'}); install those versions, or fetch it again"
        )
    return encoder


def load_network(source: Source, part: Part, folder: Path, config: PretrainConfig) -> Encoder:
    """The network of a published encoder with its weights.

    Args:
        source: of its kind.
        part: names it.
        folder: holds its files, which have been checked.
        config: its settings.

    Raises:
        ConfigError: a package is missing.
        RunError: the weights cannot be read, or do not fit.
    """
    with one_line(RunError, f"model {part}: cannot be loaded", "fetch it again"):
        network = build_encoder(config.encoder, seed=0)
        network.load_state_dict(source.weights(part.name, folder, network))
    return network


def load_published_words(part: Part) -> tuple[Words, str]:
    """Load the text tower beside a published encoder, without the encoder.

    Args:
        part: names the encoder.

    Returns:
        The tower, and the encoder's fingerprint.

    Raises:
        ConfigError: there is no such encoder, it has no text tower, or its weights are not here.
        RunError: its files are not those that were fetched.
    """
    folder, backbone = find_backbone(part)
    check_files(folder, backbone.files, str(part))
    return load_words(part, folder, config_of(backbone).encoder), backbone.fingerprint


def load_words(part: Part, folder: Path, config: EncoderConfig) -> Words:
    """The text tower beside a published encoder; its files have been checked."""
    offline()
    for name, value, kept in (("pool", "mean", "mean"), ("depths", (), "[]")):
        if (chosen := getattr(config, name, value)) != value:
            said = chosen if isinstance(chosen, str) else list(chosen)
            raise ConfigError(
                f"model {part}: encoder.{name}={said} leaves the space of its texts; fetch it with "
                f"encoder.{name}={kept}"
            )
    words = find_source(part.kind).words(part.name, folder)
    if words is None:
        raise without_words(str(part))
    return words


def versions(kind: str) -> dict[str, str]:
    """Versions of the libraries that published encoders are computed with, of those that are installed.

    Args:
        kind: of the encoder, which may be of another package.
    """
    packages = (registry.distribution(kind) for registry in (ENCODERS, SOURCES))
    found = {package.name: package.version for package in packages if package is not None}
    for name in LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
