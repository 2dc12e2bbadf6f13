import pytest
import torch
from torch import nn

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


@pytest.mark.parametrize("size", [1, 2, 5, 9])
@pytest.mark.parametrize("time", range(1, 9))
@pytest.mark.parametrize("geometry", GEOMETRIES.values(), ids=GEOMETRIES)
def test_a_padded_convolution_is_a_convolution(geometry, time, size):
    torch.manual_seed(time)
    ours, plain = layer(geometry), layer(geometry, nn.Conv3d)
    plain.load_state_dict(ours.state_dict())
    batch = torch.randn(2, ours.in_channels, time, size, size)
    torch.testing.assert_close(ours(batch), plain(batch), atol=1e-5, rtol=1e-5)
    ours(batch).square().sum().backward()
    plain(batch).square().sum().backward()
    torch.testing.assert_close(ours.weight.grad, plain.weight.grad, atol=1e-3, rtol=1e-4)


def test_dilation_is_kept():
    ours, plain = PaddedConv3d(4, 4, 3, padding=2, dilation=2), nn.Conv3d(4, 4, 3, padding=2, dilation=2)
    plain.load_state_dict(ours.state_dict())
    batch = torch.randn(2, 4, 3, 9, 9)
    torch.testing.assert_close(ours(batch), plain(batch), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("size", [1, 4, 14])
@pytest.mark.parametrize("time", [1, 2, 3, 5, 8])
@pytest.mark.parametrize("geometry", GEOMETRIES.values(), ids=GEOMETRIES)
def test_a_padded_convolution_is_right_in_bf16(geometry, time, size):
    torch.manual_seed(time)
    ours = layer(geometry)
    ours.weight.data = ours.weight.data.bfloat16().float()
    batch = torch.randn(4, time, size, size, ours.in_channels).bfloat16().float().permute(0, 4, 1, 2, 3)
    exact = ours(batch)
    mix = torch.randn_like(exact).bfloat16().float()
    (exact * mix).sum().backward()
    gradient = ours.weight.grad
    for _ in range(5):
        ours.weight.grad = None
        poison()
        with torch.autocast("cpu", torch.bfloat16):
            rough = ours(batch).float()
        (rough * mix).sum().backward()
        assert (rough - exact).norm() < 0.01 * exact.norm()
        assert (ours.weight.grad - gradient).norm() < 0.01 * gradient.norm()


def test_padding_explicitly_keeps_names_and_weights():
    network = nn.Sequential(nn.Conv3d(3, 4, 3, padding=1), nn.ReLU(), nn.Sequential(nn.Conv3d(4, 4, 1)))
    before = {key: weight.clone() for key, weight in network.state_dict().items()}
    pad_explicitly(network)
    assert [type(one) for one in network.modules() if isinstance(one, nn.Conv3d)] == [PaddedConv3d] * 2
    after = network.state_dict()
    assert list(after) == list(before)
    assert all(torch.equal(after[key], before[key]) for key in before)
