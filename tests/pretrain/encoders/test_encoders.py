import pytest
import torch
from torch import nn
from torchvision.models import get_model, get_model_weights

from sora_video.base.errors import ConfigError
from sora_video.configs.loader import load_config
from sora_video.pretrain.encoders.conv import PaddedConv3d
from sora_video.pretrain.encoders.costs import encoder_cost
from sora_video.pretrain.encoders.registry import build_encoder, encoder_config, encoder_names
from sora_video.pretrain.encoders.torchvision_nets import AnySizeWindowAttention

DIM = {
    "r3d_tiny": 32,
    "sora": 32,
    "sora_multiscale": 32,
    "r3d_18": 512,
    "mc3_18": 512,
    "r2plus1d_18": 512,
    "s3d": 1024,
    "mvit_v2_s": 768,
    "swin3d_t": 768,
    "mvit_v1_b": 768,
    "swin3d_s": 768,
    "swin3d_b": 1024,
    "frames": 512,
    "sora_av": 256,
}
TORCHVISION_NAMES = ["r3d_18", "mc3_18", "r2plus1d_18", "s3d", "mvit_v2_s", "swin3d_t"]
SIBLINGS = ["mvit_v1_b", "swin3d_s", "swin3d_b"]
"""Larger networks of the same code as others."""
WITHOUT_WIDTH = {*TORCHVISION_NAMES, *SIBLINGS, "frames"}
PUBLISHED_SIZE = {"s3d": 224, "mvit_v2_s": 224, "mvit_v1_b": 224, "swin3d_t": 224}
"""Sides that torchvision's own networks need, or are only right with; the others take any."""
BF16_KERNELS = torch.ops.mkldnn._is_mkldnn_bf16_supported()
"""Whether this processor has kernels for bf16. Without, large networks take minutes, and prove nothing: it is
these kernels that may be wrong."""
needs_bf16_kernels = pytest.mark.skipif(not BF16_KERNELS, reason="this processor has no kernels for bf16")


SELDOM = [*SIBLINGS, "r3d_18", "mc3_18", "r2plus1d_18", "mvit_v2_s", "swin3d_t"]
"""Large networks, which take long."""
NAMES = [pytest.param(name, marks=pytest.mark.slow if name in SELDOM else ()) for name in encoder_names()]


def with_streams(first, second):
    """All networks with the first choice of streams; few with the second, which networks know nothing of."""
    return [
        *(
            pytest.param(name, first, marks=pytest.mark.slow if name in SELDOM else ())
            for name in encoder_names()
        ),
        *(
            pytest.param(
                name, second, marks=pytest.mark.slow if name in {*TORCHVISION_NAMES, *SIBLINGS} else ()
            )
            for name in encoder_names()
        ),
    ]


def clips(count=2, time=8, size=32):
    """(N, 3, T, S, S) in [0, 1], channels-last as training makes them."""
    return torch.rand(count, time, size, size, 3).permute(0, 4, 1, 2, 3)


def encoder(name, streams="residual", seed=0):
    width = {} if name in WITHOUT_WIDTH else {"width": 4}
    return build_encoder(encoder_config(name, input=streams, **width), seed)


def gradients(network, batch, mix, dtype):
    """Gradients of all weight matrices and kernels of a random linear function of the aspects."""
    network.zero_grad()
    torch.manual_seed(0)  # the same blocks are dropped each time
    sound = torch.randn(len(batch), 16000, generator=torch.Generator().manual_seed(0)) / 10
    with torch.autocast("cpu", torch.bfloat16, enabled=dtype == torch.bfloat16):
        aspects = network(batch, None, sound).aspects
    (aspects.float() * mix).sum().backward()
    return {key: weight.grad.clone() for key, weight in network.named_parameters() if weight.ndim > 1}


def test_the_registry_and_these_tests_name_the_same_encoders():
    assert encoder_names() == list(DIM)
    with pytest.raises(ConfigError, match=r"encoder\.architecture: is missing for hf_video"):
        build_encoder(encoder_config("hf_video"), seed=0)


def test_an_unknown_name_is_refused_with_the_config():
    with pytest.raises(
        ConfigError, match=r"encoder\.name='vit': is not known; choose one of r3d_tiny, sora, "
    ):
        load_config(None, ["encoder.name=vit"])


@pytest.mark.parametrize(("name", "streams"), with_streams("residual", "both"))
def test_features_have_the_stated_shape(name, streams):
    network = encoder(name, streams)
    features, attention, aspects, _ = network(clips())
    assert network.dim == DIM[name] * (2 if streams == "both" and name != "sora_av" else 1)
    assert features.shape == (2, network.dim)
    assert features.isfinite().all()
    assert aspects.shape == (2, len(network.aspect_names), network.dim)
    assert torch.equal(aspects[:, 0], features)
    if name in ("sora", "sora_multiscale"):
        assert attention.shape == (2, 7)
        torch.testing.assert_close(attention.sum(1), torch.ones(2))
        assert (attention > 0).all()
    else:
        assert attention is None


@pytest.mark.parametrize(
    "shapes",
    [
        [(2, 32), (3, 24), (6, 16), (17, 40)],
        pytest.param([(5, 32), (8, 32), (8, 40), (16, 32)], marks=pytest.mark.slow),
    ],
    ids=["ends", "middle"],
)
@pytest.mark.parametrize("name", NAMES)
def test_slices_of_any_length_and_size_are_taken(name, shapes):
    network = encoder(name).eval()
    with torch.inference_mode():
        for time, size in shapes:
            batch = clips(time=time, size=size)
            features = network(batch).features
            assert features.shape == (2, DIM[name])
            if name in TORCHVISION_NAMES and not BF16_KERNELS:
                continue
            with torch.autocast("cpu", torch.bfloat16):
                rough = network(batch).features
            assert (rough - features).norm() < 0.1 * features.norm(), f"{time} frames of {size} pixels"
        torch.testing.assert_close(network(batch).features, features)


@pytest.mark.parametrize(("name", "streams"), with_streams("rgb", "residual"))
def test_the_order_of_frames_matters_but_to_a_mean(name, streams):
    network, batch = encoder(name, streams).eval(), clips()
    with torch.inference_mode():
        forward = network(batch).features
        other = network(batch[:, :, torch.randperm(8, generator=torch.Generator().manual_seed(1))]).features
        again = network(batch.clone()).features
    torch.testing.assert_close(again, forward)
    assert ((other - forward).norm() > 1e-3 * forward.norm()) == ((name, streams) != ("frames", "rgb"))


def test_residual_input_sees_no_still_picture():
    still = clips()[:, :, :1].expand(-1, -1, 8, -1, -1)
    with torch.inference_mode():
        features = encoder("r3d_tiny").eval()(still).features
    torch.testing.assert_close(features[0], features[1])


STAGES = {"r3d_tiny": [4, 4, 8, 16, 32], "r3d_18": [64, 64, 128, 256, 512]}


@pytest.mark.parametrize("cells", [1, 2])
@pytest.mark.parametrize(
    ("name", "depths"),
    [
        ("r3d_tiny", []),
        ("r3d_tiny", [4]),
        ("r3d_tiny", [0, 3]),
        ("r3d_tiny", [2, 3, 4]),
        pytest.param("r3d_18", [], marks=pytest.mark.slow),
        pytest.param("r3d_18", [1, 4], marks=pytest.mark.slow),
    ],
)
def test_the_stages_that_are_named_stand_for_a_slice(name, depths, cells):
    """Reference: the maps that hooks see, cut in cells."""
    width, seen = {} if name in WITHOUT_WIDTH else {"width": 4}, []
    network = build_encoder(encoder_config(name, depths=depths, cells=cells, **width), 0).eval()
    net = getattr(network.trunks["residual"], "net", network.trunks["residual"])
    stages = net.stages if name == "r3d_tiny" else [net.layer1, net.layer2, net.layer3, net.layer4]
    for part in (net.stem, *stages):
        part.register_forward_hook(lambda _module, _seen, output: seen.append(output.double()))
    with torch.no_grad():
        features = network(clips(size=64)).features
    parts, depths = [], depths or [4]
    for depth in depths:
        side = seen[depth].shape[-1] // cells
        means = seen[depth].mean(2).unfold(2, side, side).unfold(3, side, side).mean((4, 5)).flatten(1)
        parts.append(means / means.norm(dim=1, keepdim=True) if len(depths) > 1 else means)
    torch.testing.assert_close(features, torch.cat(parts, 1).float())
    assert network.dim == features.shape[1] == cells**2 * sum(STAGES[name][depth] for depth in depths)


def test_a_stage_that_is_not_there_is_refused():
    with pytest.raises(ConfigError, match=r"encoder\.depths.*5.*less than or equal to 4"):
        load_config("tiny-cpu", ["encoder.depths=[5]"])


def test_few_frames_are_seen_by_the_stream_of_frames():
    """Reference: the network over frames on the middle ones of every four, by hand."""
    network = build_encoder(encoder_config("r3d_tiny", width=4, input="both", look_every=4), 0).eval()
    whole = build_encoder(encoder_config("r3d_tiny", width=4, input="both"), 0).eval()
    batch, lengths = clips(3), torch.tensor([8, 5, 1])
    with torch.no_grad():
        features, plain = network(batch, lengths).features, whole(batch, lengths).features
        look = network.trunks["rgb"]((batch[:, :, [1, 5]] - network.mean) / network.std, None)[0]
    half = network.dim // 2
    torch.testing.assert_close(features[:, :half], nn.functional.normalize(look, dim=1))
    torch.testing.assert_close(features[:, half:], plain[:, half:])


@pytest.mark.parametrize(("length", "real"), [(1, 1), (2, 1), (5, 1), (6, 2), (8, 2)])
def test_few_frames_are_real_as_far_as_the_slice_is(length, real):
    network = build_encoder(encoder_config("r3d_tiny", width=4, input="both", look_every=4), 0)
    few, lengths = network.thin(clips(1), torch.tensor([length]))
    assert (few.shape[2], lengths.tolist()) == (2, [real])


def test_a_short_view_keeps_a_frame():
    network = build_encoder(encoder_config("r3d_tiny", width=4, input="both", look_every=8), 0)
    batch = clips(1, time=2)
    torch.testing.assert_close(network.thin(batch, None)[0], batch[:, :, 1:])


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (
            ["encoder.look_every=2", "encoder.input=residual"],
            r"encoder\.look_every=2: needs encoder\.input=both, or rgb; use 1",
        ),
        (
            ["encoder.look_every=9", "encoder.input=both"],
            r"encoder\.look_every=9: must be at most slice\.frames=8",
        ),
    ],
)
def test_few_frames_without_two_streams_are_refused(settings, said):
    with pytest.raises(ConfigError, match=said):
        load_config("tiny-cpu", settings)


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.slow) if name != "r3d_18" else name
        for name in (*TORCHVISION_NAMES, "mvit_v1_b")
    ],
)
def test_at_the_published_size_a_network_is_torchvisions(name):
    ours, plain = encoder(name, "rgb").eval().trunks["rgb"], get_model(name, weights=None).eval()
    last = list(dict(plain.named_children()))[-1]
    setattr(plain, last, nn.Identity())
    plain.load_state_dict(ours.net.state_dict())
    batch = torch.randn(1, 3, 16, *2 * [PUBLISHED_SIZE.get(name, 32)])
    with torch.inference_mode():
        torch.testing.assert_close(ours(batch, None)[0], plain(batch), atol=1e-4, rtol=1e-3)


@pytest.mark.parametrize("window", [(8, 7, 7), (4, 7, 7), (4, 4, 4), (2, 3, 5), (1, 1, 1)])
def test_a_bias_between_places_of_a_window_is_that_of_their_distance(window):
    attention = AnySizeWindowAttention(12, [8, 7, 7], [0, 0, 0], num_heads=3)
    bias = attention.get_relative_position_bias(list(window))
    places = torch.cartesian_prod(*(torch.arange(side) for side in window))
    distance = places[:, None] - places[None] + torch.tensor([7, 6, 6])
    row = (distance[..., 0] * 13 + distance[..., 1]) * 13 + distance[..., 2]
    torch.testing.assert_close(bias, attention.relative_position_bias_table[row].permute(2, 0, 1)[None])


@pytest.mark.parametrize("name", NAMES)
def test_running_statistics_are_those_of_the_last_batches(name):
    norms = [norm for norm in encoder(name).modules() if isinstance(norm, nn.modules.batchnorm._BatchNorm)]
    assert {norm.momentum for norm in norms} <= {0.1}


@pytest.mark.parametrize("name", [pytest.param("mvit_v2_s", marks=pytest.mark.slow), "swin3d_t"])
def test_dropped_blocks_are_a_function_of_torchs_seed(name):
    network, batch = encoder(name), clips(4, 4)

    def features(seed):
        torch.manual_seed(seed)
        with torch.no_grad():
            return network(batch).features

    first, same, other = features(1), features(1), features(2)
    assert torch.equal(first, same)
    assert not torch.allclose(first, other)
    network.eval()
    assert torch.equal(features(1), features(2))


@pytest.mark.parametrize(
    ("name", "streams", "time", "size", "count"),
    [
        pytest.param("r3d_tiny", "residual", 8, 56, 4, marks=needs_bf16_kernels),
        pytest.param("r3d_tiny", "residual", 8, 64, 4, marks=[needs_bf16_kernels, pytest.mark.slow]),
        ("sora", "residual", 8, 56, 4),
        pytest.param("sora", "rgb", 8, 64, 4, marks=needs_bf16_kernels),
        pytest.param("sora_multiscale", "residual", 8, 56, 4, marks=needs_bf16_kernels),
        pytest.param("sora_multiscale", "rgb", 8, 64, 4, marks=needs_bf16_kernels),
        pytest.param("sora_av", "residual", 8, 56, 4, marks=needs_bf16_kernels),
        pytest.param("sora_av", "rgb", 8, 64, 4, marks=needs_bf16_kernels),
        pytest.param("r3d_18", "rgb", 8, 56, 2, marks=[needs_bf16_kernels, pytest.mark.slow]),
        pytest.param("r3d_18", "residual", 16, 56, 2, marks=[needs_bf16_kernels, pytest.mark.slow]),
        pytest.param("mc3_18", "residual", 8, 56, 2, marks=[needs_bf16_kernels, pytest.mark.slow]),
        pytest.param("mvit_v2_s", "residual", 8, 56, 2, marks=[needs_bf16_kernels, pytest.mark.slow]),
        pytest.param("swin3d_t", "residual", 8, 64, 2, marks=[needs_bf16_kernels, pytest.mark.slow]),
    ],
)
def test_bf16_gradients_are_those_of_fp32(name, streams, time, size, count):
    check_bf16_gradients(encoder_config(name, input=streams), time, size, count)


@pytest.mark.parametrize(
    "choices",
    [
        {"name": "sora", "time": {"cell": "gru", "bidirectional": True, "layers": 2, "mix": True}},
        {"name": "sora", "time": {"attention": "sigmoid"}},
        pytest.param({"name": "sora", "frame": "resnet18"}, marks=pytest.mark.slow),
        {"name": "sora_multiscale", "scales": {"kernels": (1, 3, 5), "recurrent": False}},
        *(
            {"name": "sora_av", "av": {"fusion": fusion, "visual": visual}}
            for fusion, visual in [("average", "sora"), ("weighted", "r3d_tiny"), ("attention", "sora")]
        ),
    ],
    ids=str,
)
@needs_bf16_kernels
def test_bf16_gradients_of_choices_are_those_of_fp32(choices):
    check_bf16_gradients(encoder_config(**choices), 8, 56, 4)


def check_bf16_gradients(config, time, size, count):
    torch.manual_seed(0)
    network = build_encoder(config, 0)
    batch, mix = clips(count, time, size), torch.randn(count, len(network.aspect_names), network.dim)
    exact = gradients(network, batch, mix, torch.float32)
    for _ in range(2):
        rough = gradients(network, batch, mix, torch.bfloat16)
        for key, gradient in exact.items():
            error = (rough[key] - gradient).norm()
            # rounding gives up to 0.4, a wrong kernel 1e2
            assert error <= 0.6 * gradient.norm(), f"{key}: {error:.2g} of {gradient.norm():.2g}"


@pytest.mark.parametrize(
    ("time", "size"),
    [
        pytest.param(2, 16, marks=pytest.mark.slow),
        pytest.param(8, 56, marks=needs_bf16_kernels),
        pytest.param(8, 64, marks=[needs_bf16_kernels, pytest.mark.slow]),
    ],
)
@pytest.mark.parametrize("name", [pytest.param("r2plus1d_18", marks=pytest.mark.slow), "s3d"])
def test_bf16_gradients_of_convolutions_are_right(name, time, size):
    """For networks so deep that rounding alone turns the gradients of their first layers."""
    network = encoder(name)
    seen = {}

    def watch(conv, inputs, output):
        output.register_hook(lambda gradient: seen.update({conv: (inputs[0].detach(), gradient.clone())}))

    convs = [conv for conv in network.modules() if isinstance(conv, PaddedConv3d)]
    for conv in convs:
        conv.register_forward_hook(watch)
    with torch.autocast("cpu", torch.bfloat16):
        features = network(clips(2, time, size)).features
    (features.float() * torch.randn(2, network.dim)).sum().backward()
    assert len(seen) == len(convs)
    for conv, (inputs, gradient) in seen.items():
        exact = torch.ops.aten.convolution_backward(
            gradient.double(),
            inputs.bfloat16().double(),
            conv.weight.double(),
            None,
            conv.stride,
            conv.padding,
            conv.dilation,
            False,
            [0, 0, 0],
            conv.groups,
            [False, True, False],
        )[1]
        assert (conv.weight.grad - exact).norm() < 0.01 * exact.norm()


@pytest.mark.parametrize("name", NAMES)
def test_weights_are_a_function_of_the_seed(name):
    state = torch.random.get_rng_state()
    first, same, other = (encoder(name, seed=seed).state_dict() for seed in (3, 3, 4))
    assert torch.equal(torch.random.get_rng_state(), state)
    assert all(torch.equal(first[key], same[key]) for key in first)
    assert any(not torch.equal(first[key], other[key]) for key in first)


@pytest.mark.parametrize(
    ("name", "frames", "size"),
    [
        ("r3d_18", 16, 112),
        ("mc3_18", 16, 112),
        ("r2plus1d_18", 16, 112),
        pytest.param("mvit_v2_s", 16, 224, marks=pytest.mark.slow),
        pytest.param("mvit_v1_b", 16, 224, marks=pytest.mark.slow),
    ],
)
def test_costs_are_those_that_torchvision_states(name, frames, size):
    stated = get_model_weights(name).DEFAULT.meta
    cost = encoder_cost(encoder_config(name, input="rgb"), frames, size)
    classifier = 400 * (cost.dim + 1)
    assert cost.parameters + classifier == stated["num_params"]
    assert cost.flops == pytest.approx(2e9 * stated["_ops"], rel=0.02)


def test_two_streams_cost_two_networks():
    rgb, residual, both = (
        encoder_cost(encoder_config("r3d_tiny", input=one), 8, 64) for one in ("rgb", "residual", "both")
    )
    assert both == tuple(one + other for one, other in zip(rgb, residual, strict=True))
    assert residual.flops < rgb.flops
