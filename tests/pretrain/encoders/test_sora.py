import pytest
import torch
from torch import nn
from torch.nn.functional import normalize

from sora_video.base.errors import ConfigError
from sora_video.configs.loader import load_config
from sora_video.pretrain.encoders.costs import encoder_cost
from sora_video.pretrain.encoders.registry import build_encoder, encoder_config
from sora_video.pretrain.encoders.temporal import AttentionPool, Recurrent, TimeConfig

CHOICES = {
    "lstm": encoder_config("sora", width=4),
    "gru": encoder_config("sora", width=4, time={"cell": "gru"}),
    "both ways": encoder_config("sora", width=4, time={"bidirectional": True}),
    "two layers": encoder_config("sora", width=4, time={"layers": 2, "dropout": 0.2}),
    "gates": encoder_config("sora", width=4, time={"attention": "sigmoid"}),
    "mixed": encoder_config("sora", width=4, time={"mix": True, "bidirectional": True}),
    "resnet18": encoder_config("sora", frame="resnet18"),
    "scales": encoder_config("sora_multiscale", width=4),
    "scales both ways": encoder_config("sora_multiscale", width=4, time={"bidirectional": True}),
    "one scale": encoder_config("sora_multiscale", width=4, scales={"kernels": (3,)}),
    "three scales": encoder_config("sora_multiscale", width=4, scales={"kernels": (1, 3, 5)}),
    "not read over time": encoder_config("sora_multiscale", width=4, scales={"recurrent": False}),
    "not normalised": encoder_config("sora_multiscale", width=4, scales={"normalise": False}),
    "not transformed": encoder_config("sora_multiscale", width=4, scales={"transform": False}),
    **{
        fusion: encoder_config(
            "sora_av", width=4, av={"visual": "sora", "fusion": fusion, "dim": 16, "mels": 16}
        )
        for fusion in ("concat", "average", "weighted", "attention")
    },
}
FUSIONS = [name for name, config in CHOICES.items() if config.name == "sora_av"]
DIM = {
    "both ways": 64,
    "resnet18": 512,
    "not transformed": 64,
    "concat": 32,
    "average": 16,
    "weighted": 16,
    "attention": 16,
}


def clips(count=3, time=8, size=32, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(count, time, size, size, 3, generator=generator).permute(0, 4, 1, 2, 3)


def noise(count=3, samples=16000, seed=0):
    return torch.randn(count, samples, generator=torch.Generator().manual_seed(seed)) / 10


@pytest.fixture(params=CHOICES)
def choice(request):
    return request.param


@pytest.fixture
def network(choice):
    return build_encoder(CHOICES[choice].model_copy(update={"input": "rgb"}), 0)


def test_shapes_are_as_chosen(network, choice):
    features, attention, aspects, _ = network(clips(), None, noise())
    assert network.dim == DIM.get(choice, 32)
    assert features.shape == (3, network.dim)
    assert aspects.shape == (3, len(network.aspect_names), network.dim)
    assert attention.shape == (3, 8)
    assert {part.dtype for part in (features, attention, aspects)} == {torch.float32}


def test_attention_is_a_share_of_each_moment_that_is_there(network):
    lengths = torch.tensor([8, 5, 1])
    attention = network(clips(), lengths).attention
    torch.testing.assert_close(attention.sum(1), torch.ones(3))
    for row, length in enumerate(lengths):
        assert (attention[row, :length] > 0).all()
        assert (attention[row, length:] == 0).all()


@pytest.mark.parametrize("streams", ["rgb", "residual"])
def test_what_lies_beyond_a_slices_end_changes_nothing(choice, streams):
    network = build_encoder(CHOICES[choice].model_copy(update={"input": streams}), 0).eval()
    short = clips(2, 5)
    first, second = (torch.cat([short, clips(2, 3, seed=seed)], dim=2) for seed in (1, 2))
    lengths = torch.tensor([5, 5])
    with torch.inference_mode():
        alone = network(short).features
        torch.testing.assert_close(network(first, lengths).features, alone)
        torch.testing.assert_close(network(second, lengths).features, alone)
        torch.testing.assert_close(network(short, lengths).features, alone)
        mixed = network(first, torch.tensor([5, 8])).features
        torch.testing.assert_close(mixed[0], alone[0])
        assert (mixed[1] - alone[1]).norm() > 1e-3 * alone[1].norm()


def test_every_weight_learns(network):
    network(clips(), None, noise()).aspects.square().sum().backward()
    for name, weight in network.named_parameters():
        assert weight.grad is not None, name
        assert weight.grad.isfinite().all(), name
        # the last bias of a softmax over time shifts all scores alike
        assert weight.grad.any() or name.endswith(("score.2.bias", "in_proj_bias")), name


def test_bf16_is_near_fp32(network):
    network.eval()
    with torch.inference_mode():
        exact = network(clips(), None, noise()).aspects
        with torch.autocast("cpu", torch.bfloat16):
            rough, attention = network(clips(), torch.tensor([8, 8, 8]), noise())[2:0:-1]
    assert attention.dtype == torch.float32
    assert (rough - exact).norm() < 0.05 * exact.norm()


def test_one_batch_can_be_learnt_by_heart(network):
    """Eight slices, told apart by a linear layer on top."""
    torch.manual_seed(0)
    head, batch, has_audio = nn.Linear(network.dim, 8), clips(8), noise(8)
    optimizer = torch.optim.Adam([*network.parameters(), *head.parameters()], lr=3e-3)
    for _ in range(60):
        features = 10 * normalize(network(batch, None, has_audio).features, dim=1)
        loss = nn.functional.cross_entropy(head(features), torch.arange(8))
        if loss.item() < 0.5:
            break
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.5  # chance is 2.08


@pytest.mark.parametrize("cell", ["lstm", "gru"])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_a_recurrent_network_is_torchs(cell, bidirectional):
    ours = Recurrent(5, 7, TimeConfig(cell=cell, bidirectional=bidirectional, layers=2)).eval()
    batch = torch.randn(4, 6, 5)
    expected, _ = ours.cells(batch)
    assert isinstance(ours.cells, nn.LSTM if cell == "lstm" else nn.GRU)
    torch.testing.assert_close(ours(batch, None), expected)
    lengths = torch.tensor([6, 4, 1, 3])
    states = ours(batch, lengths)
    for row, length in enumerate(lengths):
        alone, _ = ours.cells(batch[row : row + 1, :length])
        torch.testing.assert_close(states[row, :length], alone[0])


def test_gates_weigh_as_their_share_of_all_gates():
    pool, states = AttentionPool(6, "sigmoid"), torch.randn(2, 5, 6)
    gates = pool.score(states).squeeze(2).sigmoid()
    pooled, weights = pool(states, None)
    torch.testing.assert_close(weights, gates / gates.sum(1, keepdim=True))
    torch.testing.assert_close(pooled, (states * weights[..., None]).sum(1))


def test_an_even_kernel_is_refused():
    with pytest.raises(ConfigError, match=r"encoder\.scales\.kernels=\[3, 4\]: must be odd"):
        load_config(None, ["encoder.name=sora_multiscale", "encoder.scales.kernels=[3,4]"])


def test_each_switch_changes_the_cost():
    whole = encoder_cost(CHOICES["three scales"], 8, 64)
    for choice in ("one scale", "scales"):
        assert encoder_cost(CHOICES[choice], 8, 64).flops < whole.flops
    scales = encoder_cost(CHOICES["scales"], 8, 64)
    for choice in ("not read over time", "not normalised", "not transformed"):
        assert encoder_cost(CHOICES[choice], 8, 64).parameters < scales.parameters


@pytest.mark.parametrize("choice", FUSIONS)
def test_without_sound_there_is_the_embedding_of_sight(network):
    network.eval()
    has_audio = torch.tensor([True, False, True])
    with torch.inference_mode():
        both = network(clips(), None, noise(), has_audio)
        sight = network(clips())
        other = network(clips(), None, noise(seed=5), has_audio)
        everything = network(clips(), None, noise())
    torch.testing.assert_close(both.aspects[:, 1], sight.features)
    torch.testing.assert_close(sight.aspects[:, 0], sight.aspects[:, 1])
    torch.testing.assert_close(both.features[1], sight.features[1])
    assert (both.features[0] - sight.features[0]).norm() > 1e-3
    torch.testing.assert_close(other.aspects[1, :2], both.aspects[1, :2])
    torch.testing.assert_close(everything.features[has_audio], both.features[has_audio])


@pytest.mark.parametrize("choice", FUSIONS)
def test_sound_alone_does_not_depend_on_what_is_seen(network):
    network.eval()
    with torch.inference_mode():
        one = network(clips(seed=1), None, noise()).aspects[:, 2]
        other = network(clips(seed=2), None, noise()).aspects[:, 2]
        louder = network(clips(seed=1), None, noise(seed=3)).aspects[:, 2]
    torch.testing.assert_close(one, other)
    assert (one - louder).norm() > 1e-3


@pytest.mark.parametrize("choice", ["concat"])
def test_side_by_side_products_compare_what_both_have(network):
    network.eval()
    with torch.inference_mode():
        both, sight, sound = normalize(network(clips(), None, noise()).aspects, dim=2).unbind(1)
    torch.testing.assert_close(both, (sight + sound) / 2**0.5)
    torch.testing.assert_close((sight @ sound.T), torch.zeros(3, 3))


@pytest.mark.parametrize("choice", FUSIONS)
def test_slices_without_sound_leave_no_trace_in_training(network):
    has_audio = torch.tensor([True, False, True])
    found = []
    for seed in (1, 2):
        sound = noise()
        sound[1] = noise(1, seed=seed)[0]
        network.zero_grad()
        network(clips(), None, sound, has_audio).features.square().sum().backward()
        found.append([weight.grad.clone() for weight in network.parameters()])
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other)
