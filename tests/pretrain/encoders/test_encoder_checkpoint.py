import copy

import pytest
import torch
from torch import nn
from torch.autograd.graph import saved_tensors_hooks

from sora_video.configs.nested import setting_names
from sora_video.pretrain.encoders.checkpoint import recompute
from sora_video.pretrain.encoders.registry import build_encoder, encoder_config, encoder_names

SIBLINGS = ("mvit_v1_b", "swin3d_s", "swin3d_b")
"""Larger networks of the same code as others."""
SELDOM = [*SIBLINGS, "r3d_18", "mc3_18", "r2plus1d_18", "mvit_v2_s", "swin3d_t"]
NAMES = [pytest.param(name, marks=pytest.mark.slow if name in SELDOM else ()) for name in encoder_names()]


def pair(name):
    """The same encoder twice, the second recomputing its activations."""
    has_width = "encoder.width" in setting_names(type(encoder_config(name)), "encoder.")
    width = {"width": 4} if has_width else {}
    configs = [encoder_config(name, **width, checkpoint=checkpoint) for checkpoint in (False, True)]
    return [build_encoder(config, 0) for config in configs]


def clips():
    return torch.rand(2, 6, 32, 32, 3, generator=torch.Generator().manual_seed(0)).permute(0, 4, 1, 2, 3)


def learn(network, dtype=torch.float32):
    """One forward and backward pass: features, gradients, and the random number that would come next."""
    torch.manual_seed(0)
    with torch.autocast("cpu", torch.bfloat16, enabled=dtype == torch.bfloat16):
        features = network(clips()).features
    features.float().square().mean().backward()
    return features.detach(), [weight.grad for weight in network.parameters()], torch.rand(1)


def held(network):
    """Bytes of activations that wait for the backward pass."""
    storages = {}

    def keep(tensor):
        storages[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    weights = {weight.untyped_storage().data_ptr() for weight in network.parameters()}
    with saved_tensors_hooks(keep, lambda tensor: tensor):
        features = network(clips()).features
    assert features.requires_grad
    return sum(size for pointer, size in storages.items() if pointer not in weights)


@pytest.mark.parametrize("dtype", [torch.float32, pytest.param(torch.bfloat16, marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", NAMES)
def test_recomputing_changes_nothing_that_is_learnt(name, dtype):
    plain, saving = pair(name)
    expected, found = learn(plain, dtype), learn(saving, dtype)
    torch.testing.assert_close(found, expected, rtol=0, atol=0)
    state = plain.state_dict()
    assert list(saving.state_dict()) == list(state)
    for key, value in saving.state_dict().items():  # running statistics and their counts among them
        assert torch.equal(value, state[key]), key


@pytest.mark.parametrize("name", NAMES)
def test_recomputing_holds_less(name):
    plain, saving = pair(name)
    assert held(saving) < (0.8 if name in ("sora", "sora_multiscale") else 0.5) * held(
        plain
    )  # recurrent parts are kept


def test_running_statistics_stay_the_same_tensors():
    _, saving = pair("r3d_tiny")
    before = list(saving.buffers())
    learn(saving)
    assert all(one is other for one, other in zip(saving.buffers(), before, strict=True))


def test_without_gradients_nothing_is_recomputed():
    plain, saving = pair("r3d_tiny")
    for context in (torch.no_grad(), torch.inference_mode()):
        with context:
            torch.testing.assert_close(saving(clips()).features, plain(clips()).features)
    assert torch.equal(
        saving.trunks["residual"].stem[1].running_mean, plain.trunks["residual"].stem[1].running_mean
    )


def test_a_copy_recomputes_its_own_weights():
    _, saving = pair("r3d_tiny")
    twin = copy.deepcopy(saving)
    expected = learn(copy.deepcopy(saving))
    with torch.no_grad():
        for weight in saving.parameters():
            weight.zero_()
    torch.testing.assert_close(learn(twin), expected)


@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor")  # read by the compiler itself
def test_a_compiled_encoder_may_recompute():
    plain, saving = pair("r3d_tiny")
    saving.compile(backend="eager")
    torch.testing.assert_close(learn(saving), learn(plain))


def test_other_kinds_of_arguments_and_results_are_passed_on():
    class Scale(nn.Module):
        def forward(self, tensor, shape):
            return 2 * tensor, (*shape, 1)

    module = Scale()
    recompute(module)
    tensor = torch.ones(2, requires_grad=True)
    doubled, shape = module(tensor, (3,))
    assert shape == (3, 1)
    doubled.sum().backward()
    torch.testing.assert_close(tensor.grad, torch.full((2,), 2.0))
