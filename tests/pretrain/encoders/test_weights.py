import shutil

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from sora_video.base.errors import RunError
from sora_video.pretrain.encoders.frozen import random_encoder
from sora_video.pretrain.encoders.load import load_encoder
from sora_video.pretrain.encoders.weights import read_weights


@pytest.fixture
def run(tiny_run, tmp_path):
    """A finished run that may be damaged."""
    return shutil.copytree(tiny_run.path, tmp_path / "run")


@pytest.mark.parametrize(
    "seed", [*range(12), *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(12, 40))]
)
def test_weights_that_are_damaged_anywhere_do_not_load(run, seed):
    rng, file = np.random.default_rng(seed), run / "model.safetensors"
    whole = file.read_bytes()
    flipped = bytearray(whole)
    flipped[rng.integers(len(whole))] ^= 1 << rng.integers(8)
    start = rng.integers(len(whole))
    for data in (bytes(flipped), whole[:start], whole[:start] + b"\x00" * (len(whole) - start)):
        file.write_bytes(data)
        with pytest.raises(RunError, match=r"run .*: model\.safetensors") as refusal:
            load_encoder(run, device="cpu")
        assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_do_not_load(run, value):
    weights = load_file(run / "model.safetensors")
    name = sorted(name for name, weight in weights.items() if weight.is_floating_point())[0]
    weights[name].view(-1)[0] = value
    save_file(weights, run / "model.safetensors")
    with pytest.raises(RunError, match=rf"model\.safetensors: {name} is not finite"):
        read_weights(run)


def test_weights_without_a_fingerprint_of_their_own_still_load(run):
    weights = load_file(run / "model.safetensors")
    save_file(weights, run / "model.safetensors")
    assert read_weights(run).keys() == weights.keys()


def test_an_edited_config_does_not_fit_the_weights(run):
    config = run / "config.yaml"
    config.write_text(config.read_text().replace("fps: 8.0", "fps: 9.0"))
    with pytest.raises(RunError, match=r"config\.yaml is damaged or edited: they do not fit the fingerprint"):
        load_encoder(run, device="cpu")


def test_embeddings_that_are_not_finite_are_refused(make_config, videos):
    encoder = random_encoder(make_config(), "cpu")
    with torch.no_grad():
        for weight in encoder.network.parameters():
            weight.mul_(1e30)
    with pytest.raises(RunError, match="its embeddings are not finite"):
        encoder.embed(videos, progress=False)
