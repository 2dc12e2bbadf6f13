"""Settings belong to parts: those that a part does not have are refused, and older configs stay readable."""

import pickle

import pytest
import torch
from pydantic import BaseModel

from sora_video.base.errors import ConfigError
from sora_video.configs.loader import dump_config, load_config
from sora_video.configs.nested import setting_names
from sora_video.configs.parts import ENCODERS, METHODS, EncoderConfig, MethodConfig
from sora_video.configs.schema import PretrainConfig
from sora_video.configs.sections import SliceConfig
from sora_video.pretrain.encoders.fingerprint import fingerprint

OTHER = {
    "encoder.width": 8,
    "encoder.frame": "resnet18",
    "encoder.time.layers": 3,
    "encoder.time.mix": "true",
    "encoder.scales.recurrent": "false",
    "encoder.av.mels": 32,
    "method.momentum": 0.5,
    "method.queue": 7,
    "method.shuffle": "false",
}
"""A value that is not the default of each setting that some parts lack."""
NAMES = [
    *(f"encoder.name={name}" for name in ENCODERS.names()),
    *(f"method.name={name}" for name in METHODS.names()),
]


def settings_of(choice):
    """Dotted keys of the settings of the part that a choice names."""
    section, name = choice.split(".name=")
    values = {"name": name}
    config = (EncoderConfig if section == "encoder" else MethodConfig).resolve(values)
    return setting_names(type(config), f"{section}.")


@pytest.mark.parametrize("choice", NAMES)
def test_a_part_takes_its_own_settings_and_no_others(choice):
    section = choice.split(".")[0]
    own = settings_of(choice)
    for key, value in OTHER.items():
        if not key.startswith(section):
            continue
        if key in own:
            load_config(None, [choice, f"{key}={value}"])
            continue
        with pytest.raises(ConfigError, match="has no such setting") as refused:
            load_config(None, [choice, f"{key}={value}"])
        assert str(refused.value).startswith(f"{key}=")
        assert choice.split("=")[1] in str(refused.value)
        assert "\n" not in str(refused.value)


def test_a_refusal_names_the_settings_of_the_part():
    with pytest.raises(ConfigError) as refused:
        load_config(None, ["encoder.time.layers=3", "encoder.widht=8", "optim.epochs=0"])
    assert str(refused.value) == (
        "encoder.time.layers=3, encoder.widht=8: r3d_tiny has no such setting; its settings are "
        "encoder.input, encoder.look_every, encoder.mean, encoder.std, encoder.whiten, "
        "encoder.checkpoint, encoder.freeze, encoder.depths, encoder.cells, encoder.width; "
        "optim.epochs=0: input should be greater than or equal to 1"
    )


def test_the_network_that_sees_brings_its_settings():
    seeing = ["encoder.name=sora_av", "encoder.av.visual=sora", "encoder.time.mix=true", "encoder.width=8"]
    encoder = load_config(None, seeing).encoder
    assert (encoder.time.mix, encoder.width, encoder.av.visual) == (True, 8, "sora")
    with pytest.raises(ConfigError, match=r"encoder\.time\.mix=True: sora_av has no such setting"):
        load_config(None, ["encoder.name=sora_av", "encoder.time.mix=true"])
    with pytest.raises(ConfigError, match=r"encoder\.av\.visual=sora_av: has an audio branch"):
        load_config(None, ["encoder.name=sora_av", "encoder.av.visual=sora_av"])


@pytest.mark.parametrize(
    "setting",
    [
        "loss.within=0.5",
        "loss.cross=0",
        "augment.sound_gain_db=3",
        "augment.sound_band=0",
        "augment.sound_gap=0",
    ],
)
def test_settings_of_sound_need_an_audio_branch(setting):
    load_config(None, ["encoder.name=sora_av", setting])
    with pytest.raises(ConfigError, match="r3d_tiny has no audio branch") as refused:
        load_config(None, [setting])
    assert str(refused.value).startswith(setting.split("=")[0])


@pytest.mark.parametrize("setting", ["loss.stream_within=0", "loss.stream_cross=1"])
def test_a_loss_of_each_stream_needs_two(setting):
    load_config(None, ["encoder.input=both", setting])
    for others in ([], ["encoder.name=sora_av", "encoder.input=both"]):
        with pytest.raises(
            ConfigError, match=r"needs encoder\.input=both of an encoder without an audio"
        ) as no:
            load_config(None, [*others, setting])
        assert str(no.value).startswith(setting.split("=")[0])


def test_stored_runs_that_do_not_say_have_no_loss_of_each_stream(tmp_path):
    config = load_config(None, ["encoder.input=both"])
    values = config.model_dump(mode="json")
    assert values["loss"].pop("stream_within") == 1
    stored = PretrainConfig.model_validate(values, context={"stored": True})
    assert stored.loss.stream_within == 0
    assert PretrainConfig.model_validate(values) == config
    (tmp_path / "new.yaml").write_text(dump_config(config))
    assert load_config(str(tmp_path / "new.yaml"), stored=True) == config


@pytest.mark.parametrize("name", ENCODERS.names())
def test_a_config_that_spells_out_what_the_encoder_lacks_is_read(name, tmp_path):
    config = load_config(None, [f"encoder.name={name}"])
    spelt_out = config.model_dump(mode="json")
    spelt_out["encoder"] = {**EncoderConfig.spelt_out, **spelt_out["encoder"]}
    spelt_out["method"] = {**MethodConfig.spelt_out, **spelt_out["method"]}
    assert PretrainConfig.model_validate(spelt_out) == config
    (tmp_path / "new.yaml").write_text(dump_config(config))
    assert load_config(str(tmp_path / "new.yaml")) == config
    assert pickle.loads(pickle.dumps(config)) == config


def test_a_stored_run_keeps_what_its_encoder_lacks_in_its_fingerprint():
    """The fingerprints are those that version 0.1.0 gave these settings."""
    weights = {"weight": torch.arange(3.0)}
    plain = load_config().encoder
    stored = load_config(
        None, ["encoder.time.layers=3", "method.queue=7", "loss.within=0.5"], stored=True
    ).encoder
    assert isinstance(stored, BaseModel)
    assert fingerprint(weights, plain, SliceConfig()) == PLAIN
    assert fingerprint(weights, stored, SliceConfig()) == WITH_LAYERS
    assert fingerprint(weights, pickle.loads(pickle.dumps(stored)), SliceConfig()) == WITH_LAYERS
    mixed = ["encoder.name=sora_multiscale", "encoder.time.cell=gru", "encoder.time.mix=true"]
    assert fingerprint(weights, load_config(None, mixed, stored=True).encoder, SliceConfig()) == MIXED
    wide = ["encoder.name=r3d_18", "encoder.width=8"]
    assert fingerprint(weights, load_config(None, wide, stored=True).encoder, SliceConfig()) == WIDE


def test_how_frames_are_scaled_counts_where_it_differs_from_what_older_runs_did():
    weights, encoder = {"weight": torch.arange(3.0)}, load_config().encoder
    others = (
        SliceConfig(resize=64),
        SliceConfig(resize=(64, 64)),
        SliceConfig(interpolation="bilinear"),
        SliceConfig(resize=64, interpolation="bilinear"),
    )
    prints = {fingerprint(weights, encoder, slices) for slices in others}
    assert len(prints | {PLAIN}) == 5
    assert fingerprint(weights, encoder, SliceConfig(resize=None, interpolation="bicubic")) == PLAIN


PLAIN = "9c0d3637346a5f628380d63c0bf1bb0151091d52a7f0731aaec78482c5902767"
WITH_LAYERS = "9c6526fadaa91f697cbe4c9b6fd338ae6092ddda6638536480b1373511c9357f"
MIXED = "eace7649878e793df39666c0a2d736ecf93dd9007052c9141afcf4e1dd86c42b"
WIDE = "59adfaf84a0e2b34c398bbf3023b29ca69038d89938bd4196e9c9e7b5cd0781a"
