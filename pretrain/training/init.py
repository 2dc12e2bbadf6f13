"""Starting a run from weights: those of a published encoder, or of another run."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from sora_video.base.errors import ConfigError, RunError
from sora_video.base.randomness import torch_seed
from sora_video.configs.loader import check_settings, read_settings
from sora_video.configs.nested import leaves
from sora_video.configs.parts import ENCODERS, EncoderConfig
from sora_video.configs.schema import PretrainConfig
from sora_video.configs.sections import InitConfig
from sora_video.pretrain.encoders.fingerprint import merged
from sora_video.pretrain.encoders.frame_nets import FrameNet
from sora_video.pretrain.encoders.load import load_encoder
from sora_video.pretrain.encoders.published.backbone import config_of, find_backbone
from sora_video.pretrain.encoders.registry import build_encoder
from sora_video.pretrain.encoders.spec import absolute_spec, parse_spec
from sora_video.pretrain.encoders.streams import FrameTrunk
from sora_video.pretrain.encoders.whitening import unwhitened, without_whitening

__all__ = ["adopt", "initial_weights", "new_config"]

KEPT_VIEWS = 4
"""Views that are kept of each video where nothing else is said and the network over frames is frozen."""
FRAME = {"frame", "architecture", "input", "mean", "std"}
"""Settings of an encoder that belong to its network over single frames."""

PREPROCESSING = {"frames", "fps", "size", "resize", "interpolation"}
"""Settings of slices that decide what an embedding is."""


def new_config(
    name: str | None = None, overrides: Sequence[str] = (), init: str | Path | None = None
) -> PretrainConfig:
    """The settings of a new run.

    Args:
        name: see :func:`sora_video.configs.loader.load_config`.
        overrides: see there.
        init: see :func:`adopt`.

    Raises:
        ConfigError: see there.
        RunError: see :func:`adopt`.
    """
    return check_settings(PretrainConfig, adopt(read_settings(name, overrides), init))


def adopt(settings: Mapping[str, Any], init: str | Path | None = None) -> dict[str, Any]:
    """Take over an encoder's network and preprocessing where settings do not say otherwise.

    Views get the size of slices, unless ``augment.size`` says otherwise. How the encoder was trained
    (``checkpoint``, ``freeze``) is not taken over. Another network that works on the features of single
    frames takes over the encoder's network over frames, and keeps its weights as they are.

    Args:
        settings: of a run, those that were given and no others, unchecked.
        init: model spec of one encoder; None: the published frame model that ``encoder.frame`` names, if any.

    Returns:
        The settings of a run that starts from it, unchecked.

    Raises:
        ConfigError: the spec is wrong, or its weights are not here; or the settings name another network.
        RunError: it is a run that is not finished, or is damaged.
    """
    init = init or named_frame_model(settings)
    if init is None:
        return dict(settings)
    ancestor, described = describe(init)
    preprocessing = ancestor.slice.model_dump(mode="json", include=PREPROCESSING)
    slices = {**preprocessing, **section(settings, "slice")}
    network = adopt_network(section(settings, "encoder"), ancestor.encoder, init)
    views = {"size": slices["size"], "kept_views": KEPT_VIEWS if only_over_time(network) else 0}
    return {
        **settings,
        "init": described.model_dump(mode="json"),
        "encoder": network,
        "slice": slices,
        "augment": {**views, **section(settings, "augment")},
    }


def only_over_time(encoder: Mapping[str, Any]) -> bool:
    """Whether what learns of an encoder sees nothing but the features of single frames."""
    published = encoder.get("input") == "rgb" and ":" in str(encoder.get("frame", ""))
    frozen = encoder.get("freeze", 0) != 0
    return published and frozen and issubclass(ENCODERS.load(encoder["name"]), FrameTrunk)


def named_frame_model(settings: Mapping[str, Any]) -> str | None:
    """The published frame model that settings name, where they do not say which weights to start from."""
    frame = section(settings, "encoder").get("frame")
    return frame if isinstance(frame, str) and ":" in frame and not settings.get("init") else None


def adopt_network(given: Mapping[str, Any], encoder: EncoderConfig, init: str | Path) -> dict[str, Any]:
    """The ``encoder`` section of a run that starts from an encoder.

    Raises:
        ConfigError: its network is another, which does not work on the features of single frames.
    """
    taken = encoder.model_dump(mode="json", exclude=set(encoder.of_training))
    name = given.get("name", encoder.name)
    if name != encoder.name:
        if not all("frame" in model.model_fields for model in (type(encoder), settings_of(name, given))):
            raise ConfigError(
                f"encoder.name={name}: --init {init} has encoder.name={encoder.name}; leave it out, or start "
                "from other weights"
            )
        taken = {key: value for key, value in taken.items() if key in FRAME} | {"freeze": 1}
    return merged(taken, given)


def settings_of(name: str, given: Mapping[str, Any]) -> type[EncoderConfig]:
    """The settings that a network takes."""
    model: type[EncoderConfig] = ENCODERS.load(name).settings.model_for(given)
    return model


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
    if others or part.weight != 1 or part.by:
        raise ConfigError(
            f"--init {init}: must be one whole encoder, without a weight; name a run or KIND:NAME"
        )
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
    network = build_encoder(unwhitened(config.encoder), torch_seed(config.seed, "encoder"))
    whole = config.encoder.name == encoder.config.encoder.name
    ancestor = encoder.network if whole else next(frame_nets(encoder.network), None)
    targets = [network] if whole else list(frame_nets(network))
    try:
        if ancestor is None or not targets:
            raise RuntimeError("one of the two has no network over frames that can be taken out")
        for target in targets:
            target.load_state_dict(without_whitening(ancestor.state_dict()))
    except RuntimeError as error:
        raise ConfigError(
            f"{differences(config.encoder, encoder.config.encoder)}: does not fit the weights of "
            f"{config.init.spec}; leave it out"
        ) from error
    return network.state_dict()


def frame_nets(encoder: nn.Module) -> Iterator[nn.Module]:
    """The networks over single frames, one for each stream."""
    return (module for module in encoder.modules() if isinstance(module, FrameNet))


def differences(encoder: EncoderConfig, ancestor: EncoderConfig) -> str:
    """The settings of the network in which two encoders differ."""
    ours, theirs = (
        dict(leaves({"encoder": one.model_dump(exclude=set(one.of_training))})) for one in (encoder, ancestor)
    )
    return ", ".join(f"{key}={value!r}" for key, value in ours.items() if value != theirs.get(key))
