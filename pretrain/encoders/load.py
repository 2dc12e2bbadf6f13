"""From a model spec to a frozen encoder."""

from dataclasses import replace
from pathlib import Path

from sora_video.base.errors import ConfigError, RunError

from .frozen import VideoEncoder
from .joined import JoinedEncoder
from .one_stream import one_stream
from .published.load import load_published
from .registry import build_encoder
from .spec import Part, absolute_spec, parse_spec
from .towers.stored import read_words
from .weights import config_name, read_config, read_weights
from .words import Words

__all__ = ["load_encoder"]


def load_encoder(model: str | Path, device: str | None = None, by: str | None = None) -> VideoEncoder:
    """Load what a model spec names: the encoder of a finished run, a published encoder, or several joined.

    Args:
        model: see :func:`.spec.parse_spec`.
        device: torch device to compute on; None: a GPU if there is one.
        by: see :class:`.VideoEncoder`.

    Returns:
        The encoder with its preprocessing.

    Raises:
        ConfigError: the spec is wrong, an encoder does not have this aspect, or its weights are not here.
        RunError: a folder is not a finished run, or weights do not fit their config.
    """
    parts = parse_spec(model)
    encoders = [load_part(part, device, by) for part in parts]
    weights = [part.weight for part in parts]
    encoder = encoders[0] if len(encoders) == 1 else JoinedEncoder(encoders, weights)
    encoder.spec = absolute_spec(model)
    return encoder


def load_part(part: Part, device: str | None, by: str | None) -> VideoEncoder:
    """Load one encoder, or one aspect of it."""
    if part.by is None:
        return load_whole(part, device, by)
    if by is not None:
        raise ConfigError(f"by={by}: model {part} is one aspect already; leave one of the two out")
    whole = load_whole(part, device, None)
    whole.spec = absolute_spec(replace(part, by=None).spelt(str))
    return one_stream(whole, part.by)


def load_whole(part: Part, device: str | None, by: str | None) -> VideoEncoder:
    """Load one encoder, whatever aspect is taken of it."""
    if part.run is None:
        return load_published(part, device, by)
    if not part.run.exists() and not part.run.parent.exists() and ":" in str(part.run):
        raise ConfigError(f"model {part.run}: neither a run folder nor KIND:NAME; see `sora models list`")
    return load_run(part.run, device, by)


def load_run(run: Path, device: str | None = None, by: str | None = None) -> VideoEncoder:
    """Load the encoder of a finished run, or one that was exported as a folder; see :func:`load_encoder`."""
    config, weights = read_config(run), read_weights(run)
    network = build_encoder(config.encoder, seed=0)
    try:
        network.load_state_dict(weights)
    except RuntimeError as error:
        fault = f"run {run}: model.safetensors does not fit {config_name(run)}; restore both"
        raise RunError(fault) from error

    def load_words() -> Words:
        return read_words(run, config.text, network.dim, encoder.fingerprint)

    words = load_words if config.text.is_learnt else None
    encoder = VideoEncoder(network, config, device, by, weights, words)
    return encoder
