"""Starting a run from weights: those of a published encoder, or of another run."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from sora_video.base.errors import ConfigError, RunError
from sora_video.configs.parts import EncoderConfig, leaves
from sora_video.configs.schema import InitConfig, PretrainConfig
from sora_video.pretrain.encoders.fingerprint import merged
from sora_video.pretrain.encoders.load import load_encoder
from sora_video.pretrain.encoders.published.backbone import config_of, find_backbone
from sora_video.pretrain.encoders.registry import build_encoder
from sora_video.pretrain.encoders.spec import absolute_spec, parse_spec

__all__ = ["adopt", "initial_weights"]

PREPROCESSING = {"frames", "fps", "size", "resize", "interpolation"}
"""Settings of slices that decide what an embedding is."""


def adopt(settings: Mapping[str, Any], init: str | Path) -> dict[str, Any]:
    """Take over an encoder's network and preprocessing where settings do not say otherwise.

    Views get the size of slices, unless ``augment.size`` says otherwise. How the encoder was trained
    (``checkpoint``, ``freeze``) is not taken over.

    Args:
        settings: of a run, those that were given and no others, unchecked.
        init: model spec of one encoder.

    Returns:
        The settings of a run that starts from it, unchecked.

    Raises:
        ConfigError: the spec is wrong, or its weights are not here; or the settings name another network.
        RunError: it is a run that is not finished, or is damaged.
    """
    ancestor, described = describe(init)
    encoder, given = ancestor.encoder, {name: section(settings, name) for name in ("encoder", "slice")}
    name = given["encoder"].get("name", encoder.name)
    if name != encoder.name:
        raise ConfigError(
            f"encoder.name={name}: --init {init} has encoder.name={encoder.name}; leave it out, or start "
            "from other weights"
        )
    network = encoder.model_dump(mode="json", exclude=set(encoder.of_training))
    slices = {**ancestor.slice.model_dump(mode="json", include=PREPROCESSING), **given["slice"]}
    return {
        **settings,
        "init": described.model_dump(mode="json"),
        "encoder": merged(network, given["encoder"]),
        "slice": slices,
        "augment": {"size": slices["size"], **section(settings, "augment")},
    }


def section(settings: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """A section of unchecked settings; empty where it is missing.

    Raises:
        ConfigError: it is a single value.
    """
    values = settings.get(name) or {}
    if not isinstance(values, Mapping):
        raise ConfigError(f"{name}={values!r}: must be a section of settings, as in {name}.KEY=VALUE")
    return values


def describe(init: str | Path) -> tuple[PretrainConfig, InitConfig]:
    """An encoder's settings, and what is written down of it."""
    (part, *others) = parse_spec(init)
    if others or part.weight != 1:
        raise ConfigError(f"--init {init}: must be one encoder, without a weight; name a run or KIND:NAME")
    spec = absolute_spec(init)
    if part.run is None:
        backbone = find_backbone(part)[1]
        return config_of(backbone), InitConfig(
            spec=spec, fingerprint=backbone.fingerprint, origin=backbone.origin, licence=backbone.licence
        )
    encoder = load_encoder(init, "cpu")
    before = encoder.config.init
    return encoder.config, InitConfig(
        spec=spec,
        fingerprint=encoder.fingerprint,
        origin=f"a run that started from {before.spec}, {before.origin}" if before else "a run of sora-video",
        licence=before.licence if before else None,
    )


def initial_weights(config: PretrainConfig) -> dict[str, Tensor] | None:
    """The encoder's state that a run starts from; None where that is random.

    Args:
        config: all settings.

    Raises:
        ConfigError: the weights are not here, settings of the encoder do not fit them, or random weights are
            to be kept.
        RunError: they are not those that the config was made for.
    """
    if config.init is None:
        if config.encoder.freeze != 0:
            raise ConfigError(
                f"encoder.freeze={config.encoder.freeze}: would keep random weights; name others by --init, "
                "or leave it out"
            )
        return None
    encoder = load_encoder(config.init.spec, "cpu")
    if encoder.fingerprint != config.init.fingerprint:
        raise RunError(
            f"init.spec={config.init.spec}: has fingerprint {encoder.fingerprint[:12]}, the run is to start "
            f"from {config.init.fingerprint[:12]}; restore those weights, or start a new run by --init"
        )
    weights: dict[str, Tensor] = encoder.network.state_dict()
    with torch.device("meta"):
        wanted = build_encoder(config.encoder, seed=0).state_dict()
    if shapes(wanted) != shapes(weights):
        raise ConfigError(
            f"{differences(config.encoder, encoder.config.encoder)}: does not fit the weights of "
            f"{config.init.spec}; leave it out"
        )
    return weights


def shapes(weights: Mapping[str, Tensor]) -> dict[str, torch.Size]:
    """The shape of each weight."""
    return {name: weight.shape for name, weight in weights.items()}


def differences(encoder: EncoderConfig, ancestor: EncoderConfig) -> str:
    """The settings of the network in which two encoders differ."""
    ours, theirs = (
        dict(leaves({"encoder": one.model_dump(exclude=set(one.of_training))})) for one in (encoder, ancestor)
    )
    return ", ".join(f"{key}={value!r}" for key, value in ours.items() if value != theirs.get(key))
