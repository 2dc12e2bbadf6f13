"""Runs that start from published weights, or from those of another run."""

import json
import shutil
from copy import deepcopy

import numpy as np
import pytest
import torch

from sora_video.base.errors import ConfigError, RunError, Stopped
from sora_video.pretrain.encoders.frozen import VideoEncoder
from sora_video.pretrain.encoders.load import load_encoder
from sora_video.pretrain.training.init import initial_weights, new_config
from sora_video.pretrain.training.learner import Learner
from sora_video.pretrain.training.loop import pretrain_encoder
from sora_video.pretrain.training.ranks import make_fabric
from sora_video.pretrain.training.sampler import EpochSampler

LITE = "package:efficientnet_lite0"
BELOW = tuple(f"encoder.trunks.rgb.net.net.{part}." for part in ("_conv_stem", "_bn0", "_blocks.0"))
"""The stem and first block of its network."""
QUICK = (
    "slice.per_video=2",
    "loss.projection_hidden=32",
    "loss.projection_dim=16",
    "optim.batch_size=4",
    "optim.epochs=1",
    "optim.warmup_epochs=0",
    "optim.precision=fp32",
    "data.workers=0",
    "tracking.every=1",
)


def started(init, *overrides, name=None):
    """The config of a run that starts from an encoder, as the command makes it."""
    return new_config(name, [*QUICK, *overrides], init)


def first_state(config):
    """What trains, before its first step."""
    fabric = make_fabric(config.optim)
    return Learner(config, fabric, EpochSampler(8, config), initial_weights(config))


@pytest.fixture(scope="module")
def half_frozen(tmp_path_factory, videos, lite):
    """A finished run whose first parts stayed as they were."""
    out = tmp_path_factory.mktemp("half") / "run"
    return pretrain_encoder(videos, out, started(lite, "encoder.freeze=14", "optim.layer_decay=0.5"))


def test_the_first_step_starts_from_the_ancestor(videos, lite):
    config, ancestor = started(lite, "method.name=moco"), load_encoder(lite, "cpu")
    learner = first_state(config)
    for network in (learner.inner, learner.method.network):
        encoder = VideoEncoder(deepcopy(network.encoder), config, "cpu")
        assert encoder.fingerprint == ancestor.fingerprint
        np.testing.assert_array_equal(encoder.embed(videos).vectors, ancestor.embed(videos).vectors)


def test_a_run_starts_from_another_run(videos, tiny_run, make_config, tmp_path):
    config = make_config("optim.epochs=1", "optim.lr=1e-12")
    run = pretrain_encoder(videos, tmp_path / "run", config, init=tiny_run.path)
    assert run.config.init.fingerprint == tiny_run.metrics()["fingerprint"]
    assert (run.config.init.spec, run.config.init.licence) == (str(tiny_run.path), None)
    for (name, weight), before in zip(
        run.load_weights().items(), tiny_run.load_weights().values(), strict=True
    ):
        if "running" not in name and "tracked" not in name:
            torch.testing.assert_close(weight, before, rtol=0, atol=1e-6)


def test_network_and_preprocessing_are_taken_over_unless_settings_say_otherwise(lite, tiny_run):
    config = started(lite, "slice.frames=3", "encoder.pool=motion", "encoder.std=[0.2,0.2,0.2]")
    assert (config.slice.frames, config.slice.fps, config.slice.size, config.augment.size) == (3, 2.0, 64, 64)
    assert (config.encoder.name, config.encoder.frame, config.encoder.pool) == ("frames", LITE, "motion")
    assert (config.encoder.mean[0], config.encoder.std[0]) == (127 / 255, 0.2)
    assert initial_weights(config).keys() == load_encoder(lite, "cpu").network.state_dict().keys()
    assert started(lite, "slice.size=96").augment.size == 96
    assert started(lite, "augment.size=48").augment.size == 48
    assert started(tiny_run.path, name="tiny-cpu").slice.size == 64  # as the recipe says


def test_how_an_ancestor_was_trained_is_not_taken_over(half_frozen):
    config = started(half_frozen.path)
    assert config.encoder.freeze == 0
    assert config.optim.layer_decay == 1.0
    assert config.init.licence == "Apache-2.0"
    assert "a run that started from" in config.init.origin


def test_frozen_parts_stay_with_their_statistics(half_frozen, lite):
    before, after = load_encoder(lite, "cpu").network.state_dict(), half_frozen.load_weights()
    moved = {name for name, weight in after.items() if not torch.equal(weight, before[name])}
    stem_and_blocks = (
        "trunks.rgb.net.net._conv_stem.",
        "trunks.rgb.net.net._bn0.",
        *(f"trunks.rgb.net.net._blocks.{number}." for number in range(14)),
    )
    assert not [name for name in moved if name.startswith(stem_and_blocks)]
    assert {name for name in after if not name.startswith(stem_and_blocks)} == moved


def test_a_frozen_trunk_keeps_its_fingerprint(videos, tiny_run, make_config, tmp_path):
    config = make_config("encoder.freeze=trunk", "optim.epochs=1", "optim.groups=2")
    run = pretrain_encoder(videos, tmp_path / "run", config, init=tiny_run.path)
    assert run.config.encoder.freeze == "trunk"
    assert load_encoder(run.path).fingerprint == load_encoder(tiny_run.path).fingerprint


def test_a_momentum_copy_keeps_what_is_frozen(lite):
    learner = first_state(started(lite, "encoder.freeze=3", "method.name=moco"))
    for network in (learner.inner, learner.method.network):
        net = network.encoder.trunks["rgb"].net.net
        modes = [module.training for module in (net._bn0, net._blocks[2]._bn2, net._blocks[3]._bn2, net._bn1)]
        assert modes == [False, False, True, True]


def test_parts_learn_the_slower_the_further_below(lite):
    learner = first_state(started(lite, "encoder.freeze=1", "optim.layer_decay=0.5", "optim.lr=0.1"))
    names = {weight: name for name, weight in learner.inner.named_parameters()}
    groups = [
        (group["scale"], group["weight_decay"], {names[weight] for weight in group["params"]})
        for group in learner.optimizer.param_groups
    ]
    learnt = set().union(*(found for _, _, found in groups))
    assert set(names.values()) - learnt == {name for name in names.values() if name.startswith(BELOW)}
    scale_of = {name: scale for scale, _, found in groups for name in found}
    blocks = 16
    for number in range(1, blocks):
        expected = 0.5 ** (blocks - number)
        assert scale_of[f"encoder.trunks.rgb.net.net._blocks.{number}._bn2.weight"] == expected
    assert scale_of["encoder.trunks.rgb.net.net._conv_head.weight"] == 1.0
    assert scale_of["projection.layers.0.weight"] == 1.0
    assert all(
        (decay > 0) == (learner.inner.get_parameter(name).ndim > 1)
        for _, decay, found in groups
        for name in found
    )


def test_a_resume_needs_no_ancestor_and_equals_the_unbroken_run(videos, half_frozen, lite, tmp_path):
    home = shutil.copytree(lite.partition("@")[2], tmp_path / "lite")
    config = started(f"{LITE}@{home}", "encoder.freeze=14", "optim.layer_decay=0.5")
    with pytest.raises(Stopped):
        pretrain_encoder(videos, tmp_path / "run", config, max_minutes=0)
    shutil.rmtree(home)
    run = pretrain_encoder(videos, tmp_path / "run", resume=True)
    weights = half_frozen.load_weights()
    assert all(torch.equal(weight, weights[name]) for name, weight in run.load_weights().items())
    assert [line["loss"] for line in run.log()] == [line["loss"] for line in half_frozen.log()]


def test_the_card_names_the_ancestor_and_its_licence(half_frozen, lite):
    card = (half_frozen.path / "README.md").read_text()
    fingerprint = json.loads((half_frozen.path / "metrics.json").read_text())["fingerprint"]
    assert half_frozen.config.init.fingerprint != fingerprint
    for words in (lite, "trained on ImageNet", "Apache-2.0", half_frozen.config.init.fingerprint):
        assert words in card


@pytest.mark.slow
def test_a_frame_model_is_the_frozen_frame_cnn_of_another_network(videos, lite, tmp_path):
    config = started(lite, "encoder.name=sora", "encoder.width=4", "encoder.input=both", "slice.frames=3")
    assert (config.encoder.frame, config.encoder.mean[0], config.encoder.freeze) == (LITE, 127 / 255, 1)
    before = first_state(config).inner.encoder.state_dict()
    published = load_encoder(lite, "cpu").network.trunks["rgb"].net.state_dict()
    run = pretrain_encoder(videos, tmp_path / "run", config)
    after = load_encoder(run.path).network.state_dict()
    for stream in ("rgb", "residual"):
        for name, weight in published.items():
            assert torch.equal(after[f"trunks.{stream}.frame.{name}"], weight)
        assert not torch.equal(
            after[f"trunks.{stream}.time.cells.weight_hh_l0"],
            before[f"trunks.{stream}.time.cells.weight_hh_l0"],
        )
    assert after["trunks.rgb.time.cells.weight_hh_l0"].shape == (4 * 32, 32)


def test_a_frame_cnn_named_by_a_setting_brings_its_weights():
    config = started(None, "encoder.name=sora", f"encoder.frame={LITE}", "slice.size=64")
    assert (config.init.spec, config.init.licence, config.slice.fps) == (LITE, "Apache-2.0", 4.0)
    assert first_state(config).inner.encoder.dim == 8 * 16


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["encoder.name=sora", "encoder.frame=resnet18"], r"encoder\.frame='resnet18'.*: does not fit"),
        (["encoder.name=sora", "encoder.frame=tiny"], r"encoder\.frame=tiny: must be small, resnet18 or"),
        (["encoder.name=r3d_18"], r"encoder\.name=r3d_18: --init \S+ has encoder\.name=frames; leave it out"),
        (["encoder.frame=resnet18"], r"encoder\.frame='resnet18': does not fit the weights of package"),
        (["encoder.input=both"], r"encoder\.input='both': does not fit the weights"),
        (["encoder.freeze=17"], r"encoder\.freeze=17: the trunk has 16 parts; use at most 16"),
        (["encoder.freeze=all"], r"encoder\.freeze=all: must be a number of parts"),
        (["encoder.width=3"], "frames has no such setting"),
        (["encoder=frames"], r"encoder='frames': must be a section"),
    ],
)
def test_settings_that_do_not_fit_the_weights_are_named(lite, overrides, message):
    with pytest.raises(ConfigError, match=message):
        first_state(started(lite, *overrides))


def test_encoders_that_no_run_can_start_from_are_named(lite, make_config, tmp_path, videos):
    with pytest.raises(ConfigError, match="must be one whole encoder"):
        started(f"{lite}+{LITE}")
    with pytest.raises(RunError, match="no run there"):
        started(tmp_path)
    with pytest.raises(ConfigError, match=r"encoder\.freeze=1: would keep random weights"):
        pretrain_encoder(videos, tmp_path / "run", make_config("encoder.freeze=1"))
    config = started(lite)
    other = config.model_copy(update={"init": config.init.model_copy(update={"fingerprint": "0" * 64})})
    with pytest.raises(RunError, match="is to start from 000000000000; restore those weights"):
        pretrain_encoder(videos, tmp_path / "run", other)
    assert not (tmp_path / "run").exists()


def test_an_edited_start_is_named(videos, tiny_run, make_config, tmp_path):
    with pytest.raises(Stopped):
        pretrain_encoder(videos, tmp_path / "run", make_config(), init=tiny_run.path, max_minutes=0)
    path = tmp_path / "run" / "config.yaml"
    path.write_text(path.read_text().replace(tiny_run.metrics()["fingerprint"], "a" * 64))
    with pytest.raises(RunError, match=r"config\.yaml was edited: init\.fingerprint="):
        pretrain_encoder(videos, tmp_path / "run", resume=True)


def test_the_command_prints_what_a_run_takes_over(sora, lite, tmp_path):
    code, printed = sora("pretrain", "videos", "--out", tmp_path / "run", "--init", lite, "--dry-run")
    assert (code, "name: frames" in printed, f"spec: {lite}" in printed) == (0, True, True)
    code, printed = sora("pretrain", "videos", "--out", tmp_path / "run", "--init", lite, "--resume")
    assert (code, "leave out --config, --init and --force" in printed) == (2, True)
