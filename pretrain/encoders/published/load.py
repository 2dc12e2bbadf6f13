"""From a published encoder's name to a frozen encoder; nothing is fetched, and nothing in a file is run."""

from importlib.metadata import PackageNotFoundError, version

from sora_video.base.errors import RunError

from ..frozen import VideoEncoder
from ..registry import build_encoder
from ..spec import Part
from .backbone import check_files, config_of, find_backbone
from .clip import differs, embed_clip
from .network import offline
from .source import find_source

__all__ = ["load_published", "versions"]

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
    network = build_encoder(config.encoder, seed=0)
    network.load_state_dict(find_source(part.kind).weights(part.name, folder, network))
    encoder = VideoEncoder(network, config, device, by)
    if encoder.fingerprint != backbone.fingerprint or differs(embed_clip(encoder), backbone.check):
        changed = [
            f"{name} was {before}, is {now}"
            for name, before in backbone.libraries.items()
            if (now := versions().get(name, "missing")) != before
        ]
        raise RunError(
            f"model {part}: it no longer computes what it did when it was fetched"
            f" ({'; '.join(changed) or 'no library has changed'}); install those versions, or fetch it again"
        )
    return encoder


def versions() -> dict[str, str]:
    """Versions of the libraries that published encoders are computed with, of those that are installed."""
    found = {}
    for name in LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
