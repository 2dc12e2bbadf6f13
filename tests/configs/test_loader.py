from pathlib import Path

import pytest

from sora_video.base.errors import ConfigError
from sora_video.configs.loader import dump_config, load_config, recipe_names, recipe_path
from sora_video.configs.schema import PretrainConfig

FOLDER = Path(__file__).parents[2] / "configs"
RECIPES = sorted(FOLDER.rglob("*.yaml"))


def message(name: str | None = None, *overrides: str) -> str:
    """What loading says when it is refused."""
    with pytest.raises(ConfigError) as caught:
        load_config(name, overrides)
    text = str(caught.value)
    assert "\n" not in text
    return text


def test_defaults_load():
    assert load_config() == PretrainConfig()


@pytest.mark.parametrize("recipe", [None, *RECIPES], ids=lambda path: path.stem if path else "default")
def test_every_shipped_recipe_loads_and_survives_a_dump(recipe, tmp_path):
    config = load_config(str(recipe) if recipe else None)
    (tmp_path / "dumped.yaml").write_text(dump_config(config), encoding="utf-8")
    assert load_config(str(tmp_path / "dumped.yaml")) == config


def test_recipes_are_found_by_name():
    assert recipe_names() == sorted(path.stem for path in RECIPES)
    assert all(recipe_path(path.stem).samefile(path) for path in RECIPES)


def test_dump_spells_out_every_key_and_keeps_unusual_values(tmp_path):
    config = load_config(
        None,
        [
            "seed=7",
            "slice.hop_s=0.25",
            "augment.crop_area=[0.5,1]",
            "tracking.project=gärten & höfe",
            "data.workers=null",
        ],
    )
    text = dump_config(config)
    assert "blur_sigma" in text
    assert "per_video" in text
    (tmp_path / "c.yaml").write_text(text, encoding="utf-8")
    assert load_config(str(tmp_path / "c.yaml")) == config


def test_a_file_sets_values_and_overrides_win_in_order(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("optim: {lr: 1e-4, epochs: 3}\n")
    config = load_config(str(path), ["optim.epochs=4", "optim.epochs=5", "slice.fps=12.5"])
    assert (config.optim.lr, config.optim.epochs, config.slice.fps) == (1e-4, 5, 12.5)
    assert config.slice.length_s == 8 / 12.5


@pytest.mark.parametrize(
    ("recipe", "override", "gone"),
    [
        ("tiny-cpu", "encoder.name=sora", {"depths", "cells"}),
        ("tiny-cpu", "encoder.name=sora_multiscale", {"depths", "cells"}),
        ("multi-gpu", "method.name=simclr", {"queue", "momentum", "shuffle"}),
    ],
)
def test_a_recipe_is_followed_as_far_as_another_part_goes(recipe, override, gone):
    section, name = override.split(".name=")
    before, after = (load_config(recipe, more) for more in ([], [override]))
    ours, theirs = (getattr(config, section).model_dump() for config in (before, after))
    assert theirs["name"] == name
    assert not gone & theirs.keys()
    own = gone | {"name"}
    assert {key: ours[key] for key in ours.keys() - own} == {key: theirs[key] for key in ours.keys() - own}
    lost = min(gone)
    with pytest.raises(ConfigError, match=f"{name} has no such setting"):
        load_config(recipe, [override, f"{section}.{lost}={ours[lost]}"])


def test_negatives_of_a_recipe_are_left_out_with_a_method_that_has_none():
    assert load_config("tiny-cpu").loss.intra == "shuffle"
    assert load_config("tiny-cpu", ["method.name=moco"]).loss.intra == "shuffle"
    loss = load_config("tiny-cpu", ["method.name=vicreg"]).loss
    assert (loss.intra, loss.temperature) == ("none", 0.2)
    with pytest.raises(ConfigError, match=r"loss\.intra=shuffle: vicreg has no such negatives; use none"):
        load_config("tiny-cpu", ["method.name=vicreg", "loss.intra=shuffle"])


def test_an_empty_file_gives_the_defaults(tmp_path):
    path = tmp_path / "empty.yaml"
    path.write_text("")
    assert load_config(str(path)) == PretrainConfig()


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("augment.crop_aera=[0.1,1]", "unknown key: 'augment.crop_aera'; did you mean 'augment.crop_area'?"),
        ("optimizer.lr=1", "unknown key: 'optimizer'; did you mean 'optim'?"),
        ("qqqqqq=1", "unknown key: 'qqqqqq'; see `sora pretrain --dry-run` for all keys"),
        ("slice.frames=0", "slice.frames=0: input should be greater than or equal to 1"),
        ("optim.lr=fast", "optim.lr='fast': input should be a valid number"),
        ("encoder.input=depth", "encoder.input='depth': input should be 'rgb', 'residual' or 'both'"),
        ("slice=3", "slice=3"),
        ("augment.flip=1.5", "augment.flip=1.5: input should be less than or equal to 1"),
        ("augment.crop_area=[0.9,0.2]", "augment.crop_area=[0.9, 0.2]: must be two rising numbers above 0"),
        (
            "slice.resize=32",
            "slice.resize=32: is smaller than slice.size=64, the square that is cut out; make it",
        ),
        ("slice.resize=[96,0]", "slice.resize=(96, 0): is smaller than slice.size=64"),
        ("slice.resize=[96,5000]", "slice.resize=(96, 5000): must be at most 4096 pixels"),
        ("slice.resize=[64,64,64]", "slice.resize=[64, 64, 64]: must be null, one whole number of pixels"),
        ("slice.resize=wide", "slice.resize=wide: must be null, one whole number of pixels"),
        ("slice.interpolation=area", "slice.interpolation='area': input should be 'bicubic' or 'bilinear'"),
        ("slice.fps=.inf", "slice.fps=inf: input should be a finite number"),
        ("loss.temperature=.nan", "loss.temperature=nan"),
        ("seed=-1", "seed=-1: input should be greater than or equal to 0"),
        ("optim.epochs", "override 'optim.epochs': must have the form key=value, as in optim.epochs=10"),
        ("tracking.project=${seed}", "tracking.project='${seed}': ${...} is not resolved; write the value"),
        ("tracking.project=${oc.env:HOME}", "tracking.project='${oc.env:HOME}': ${...} is not resolved"),
        ("tracking=${oc.env:HOME}", "tracking='${oc.env:HOME}': ${...} is not resolved"),
    ],
)
def test_a_bad_override_is_named_with_its_value_and_remedy(override, expected):
    assert expected in message(None, override)


def test_differences_need_two_frames():
    assert "slice.frames=1: must be at least 2 for encoder.input=both" in message(
        None, "slice.frames=1", "encoder.input=both"
    )
    assert load_config(None, ["slice.frames=1", "encoder.input=rgb"]).slice.frames == 1


def test_all_faults_are_told_at_once():
    text = message(None, "optim.epochs=0", "slice.sise=64")
    assert "optim.epochs=0" in text
    assert "did you mean 'slice.size'?" in text


@pytest.mark.parametrize("name", ["no-such-recipe", "no/such/file.yaml", "."])
def test_a_missing_recipe_or_file_is_named(name):
    assert f"config {name!r}: neither a file nor a recipe" in message(name)


@pytest.mark.parametrize(
    "text", [b"- 1\n- 2\n", b"slice: [1,\n", b"a: 1\na: 2\n", b"\xff\xfe\x00", b"42\n", b"slice: {frames: 8"]
)
def test_a_file_that_is_no_config_is_refused_by_name(text, tmp_path):
    path = tmp_path / "odd.yaml"
    path.write_bytes(text)
    assert str(path) in message(str(path))


REPEATED = "".join(f"k{n}: &k{n} [{', '.join([f'*k{n - 1}'] * 9)}]\n" for n in range(1, 20))
MERGED = "".join(f"k{n}: &k{n} {{<<: [{', '.join([f'*k{n - 1}'] * 9)}]}}\n" for n in range(1, 20))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("k0: &k0 [1]\n" + REPEATED, "has more than 10,000 keys and values"),
        ("k0: &k0 {a: 1}\n" + MERGED, "has more than 10,000 keys and values"),
        ("slice: &slice {frames: *slice}\n", "is nested too deeply, or an alias contains itself"),
        ("[" * 60_000, "is nested too deeply"),
        (f"tracking: {{project: {'x' * 70_000}}}\n", "is larger than 64 KiB"),
        ("tracking: {project: '${oc.env:HOME}'}\n", "tracking.project='${oc.env:HOME}': ${...} is not"),
        ("tracking: {project: [1, '${oc.decode:x}']}\n", "tracking.project.1='${oc.decode:x}': ${...} is"),
        ("tracking: ${oc.env:HOME}\n", "tracking='${oc.env:HOME}': ${...} is not resolved"),
    ],
    ids=["aliases", "merge keys", "recursion", "depth", "size", "environment", "list", "section"],
)
def test_a_file_of_a_stranger_is_bounded_and_looks_nothing_up(text, expected, tmp_path):
    path = tmp_path / "received.yaml"
    path.write_text(text)
    refusal = message(str(path), "tracking.project=mine")
    assert expected in refusal
    assert str(path) in refusal


def test_aliases_within_bounds_are_followed(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("slice: {size: &side 48}\naugment: {size: *side}\n")
    config = load_config(str(path))
    assert (config.slice.size, config.augment.size) == (48, 48)


@pytest.mark.parametrize(
    "override",
    [
        "slice.hop_s=1e-7",
        "slice.frames=1000000000",
        "slice.fps=1e-300",
        "slice.size=1000000",
        "augment.size=1000000",
        "augment.blur_sigma=[1,1e9]",
        "encoder.width=1000000000",
        "encoder.time.layers=1000000000",
        "encoder.scales.kernels=[1000001]",
        "encoder.av.mels=1000000000",
        "method.queue=1000000000000",
        "loss.projection_dim=1000000000000",
        "optim.epochs=1000000000000",
        "optim.batch_size=1000000000000",
        "data.workers=1000000",
    ],
)
def test_values_that_no_machine_could_serve_are_refused(override):
    assert override.split("=")[0] in message(None, override)


def test_a_config_of_before_there_were_tasks_does_not_speed_up_pixels(tmp_path):
    """Such versions wrote ``playback: 2`` for every run, and heeded it for kept views alone."""
    path = tmp_path / "config.yaml"
    written = dump_config(load_config(None, ["augment.playback=2"]))
    path.write_text(written.replace("tasks: {}\n", ""), encoding="utf-8")
    assert "tasks" not in path.read_text(encoding="utf-8")
    assert "augment.playback=2: an older version wrote this config.yaml" in message(str(path))
    assert load_config(str(path), stored=True).augment.rates == (1,)
    assert load_config(str(path), ["augment.playback=null"]).augment.rates == (1,)
    path.write_text(written, encoding="utf-8")
    assert load_config(str(path)).augment.rates == (1, 2)
    path.write_text("augment: {playback: 2}\n", encoding="utf-8")
    assert load_config(str(path)).augment.rates == (1, 2)
