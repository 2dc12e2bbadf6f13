"""Several runs in one probe are seeds of one recipe, so that their scores can be averaged."""

from collections.abc import Mapping
from typing import Any

from sora_video.base.errors import ConfigError
from sora_video.configs.nested import leaves
from sora_video.pretrain.encoders.frozen import VideoEncoder

__all__ = ["check_seeds"]

SLICES = ("frames", "fps", "size", "resize", "interpolation", "hop_s")
"""Settings of slices that a finished encoder depends on."""


def check_seeds(encoders: Mapping[str, VideoEncoder], runs: int) -> None:
    """Refuse runs that are not seeds of one encoder and one preprocessing.

    Args:
        encoders: by name of the run.
        runs: how many were named.

    Raises:
        ConfigError: two are the same encoder, or they differ in a setting of ``encoder`` or ``slice``.
    """
    prints = [encoder.fingerprint for encoder in encoders.values()]
    if len(set(prints)) < runs:
        raise ConfigError(f"model: two of the runs are the same encoder ({prints[-1][:12]}); name each once")
    (first, reference), *others = [(run, input_settings(encoder)) for run, encoder in encoders.items()]
    for run, settings in others:
        for name in sorted(reference.keys() | settings.keys()):
            before, after = reference.get(name), settings.get(name)
            if before != after:
                raise ConfigError(
                    f"model: {first} has {name}={before} and {run} has {name}={after}; runs of one probe are "
                    "averaged as seeds, so probe each on its own and compare them with `sora compare`"
                )


def input_settings(encoder: VideoEncoder) -> dict[str, Any]:
    """The settings that decide the network and the slices it takes, by dotted name."""
    config = encoder.config
    network = config.encoder.model_dump(exclude=set(config.encoder.of_training))
    slices = config.slice.model_dump(include=set(SLICES))
    return dict(leaves({"encoder": network, "slice": slices}))
