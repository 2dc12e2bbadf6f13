import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from sora_video.pretrain.encoders.conv import PaddedConv3d, pad_explicitly

# kernel, stride, padding, input channels, output channels, groups: stems, stages and pools of the encoders
GEOMETRIES = {
    "stage": (3, 1, 1, 16, 32, 1),
    "stage that halves": (3, 2, 1, 16, 32, 1),
    "stem": ((3, 7, 7), (1, 2, 2), (1, 3, 3), 3, 16, 1),
    "patches": ((3, 7, 7), (2, 4, 4), (1, 3, 3), 3, 32, 1),
    "separable": ((7, 1, 1), (2, 1, 1), (3, 0, 0), 16, 32, 1),
    "spatial": ((1, 3, 3), (1, 2, 2), (0, 1, 1), 16, 32, 1),
    "pool": (3, (1, 8, 8), 1, 32, 32, 32),
}


def layer(geometry, kind=PaddedConv3d):
    kernel, stride, padding, inputs, outputs, groups = geometry
    return kind(inputs, outputs, kernel, stride, padding, groups=groups, bias=False)


def poison():
    """Fill memory that is about to be used again with nan."""
    for size in (2**12, 2**16, 2**20):
        _ = [torch.full((size,), torch.nan) for _ in range(4)]


def results(conv, batch, mix):
    """What a convolution gives, and the gradients of its weights and its input, in float64."""
    conv.zero_grad()
    batch = batch.clone().requires_grad_()
    poison()
    out = conv(batch)
    (out * mix.to(out.dtype)).sum().backward()
    return [one.double() for one in (out.detach(), conv.weight.grad, batch.grad)]


def case(geometry, time, size):
    """Our convolution and a batch that bf16 can hold, with the results of float64, which takes other code."""
    torch.manual_seed(time)
    ours, plain = layer(geometry), layer(geometry, nn.Conv3d).double()
    with torch.no_grad():
        ours.weight.copy_(ours.weight.bfloat16())
    plain.load_state_dict(ours.state_dict())
    batch = torch.randn(4, time, size, size, ours.in_channels).bfloat16().float().permute(0, 4, 1, 2, 3)
    mix = torch.randn(plain(batch.double()).shape).bfloat16()
    return ours, batch, mix, results(plain, batch.double(), mix)


@pytest.mark.parametrize("size", [1, 4, 14])
@pytest.mark.parametrize("time", range(1, 10))
@pytest.mark.parametrize("geometry", GEOMETRIES.values(), ids=GEOMETRIES)
def test_a_padded_convolution_is_a_convolution(geometry, time, size):
    ours, batch, mix, expected = case(geometry, time, size)
    for _ in range(3):
        for found, exact in zip(results(ours, batch, mix), expected, strict=True):
            assert (found - exact).norm() < 1e-5 * exact.norm()
        with torch.autocast("cpu", torch.bfloat16):
            rough = results(ours, batch, mix)
        for found, exact in zip(rough, expected, strict=True):
            assert (found - exact).norm() < 0.01 * exact.norm()


@pytest.mark.parametrize("time", range(1, 6))
@pytest.mark.parametrize(("padding", "dilation", "stride"), [(2, 2, 1), (2, 2, 2), (3, 2, 1), (4, 3, 2)])
def test_dilation_is_kept(time, padding, dilation, stride):
    geometry = {"padding": padding, "dilation": dilation, "stride": stride}
    ours, plain = PaddedConv3d(4, 4, 3, **geometry), nn.Conv3d(4, 4, 3, **geometry)
    plain.load_state_dict(ours.state_dict())
    batch = torch.randn(2, 4, time, 9, 9)
    torch.testing.assert_close(ours(batch), plain(batch), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(("time", "stride", "taps"), [(1, 1, 1), (1, 2, 1), (2, 1, 3), (2, 2, 2), (3, 1, 3)])
def test_taps_over_padding_alone_cost_nothing(time, stride, taps):
    conv = PaddedConv3d(4, 4, 3, (stride, 1, 1), 1, bias=False)
    with FlopCounterMode(display=False) as counter:
        out = conv(torch.randn(1, 4, time, 8, 8))
    assert counter.get_total_flops() == 2 * out.numel() * 4 * taps * 9


def test_padding_explicitly_keeps_names_and_weights():
    network = nn.Sequential(nn.Conv3d(3, 4, 3, padding=1), nn.ReLU(), nn.Sequential(nn.Conv3d(4, 4, 1)))
    before = {key: weight.clone() for key, weight in network.state_dict().items()}
    pad_explicitly(network)
    assert [type(one) for one in network.modules() if isinstance(one, nn.Conv3d)] == [PaddedConv3d] * 2
    after = network.state_dict()
    assert list(after) == list(before)
    assert all(torch.equal(after[key], before[key]) for key in before)
