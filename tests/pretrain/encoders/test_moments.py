"""Features of the moments of a slice."""

import pytest
import torch
from torch.nn.functional import adaptive_avg_pool1d, normalize

from sora_video.pretrain.encoders.moments import moments_of, run_stages
from sora_video.pretrain.encoders.registry import build_encoder, encoder_config, encoder_names

SIBLINGS = ["mvit_v1_b", "swin3d_s", "swin3d_b", "r3d_18", "r2plus1d_18", "sora_av", "swin3d_t", "mvit_v2_s"]
"""Large ones, and of the same code as others here."""
NAMES = [pytest.param(name, marks=pytest.mark.slow if name in SIBLINGS else ()) for name in encoder_names()]


def encoder(name, **settings):
    fits = {"width": 4} if "width" in encoder_config(name).__class__.model_fields else {}
    return build_encoder(encoder_config(name, **fits, **settings), 0).eval()


def clips(time=8):
    torch.manual_seed(0)
    return torch.rand(2, 3, time, 32, 32)


@pytest.mark.parametrize("name", NAMES)
def test_moments_are_given_where_they_are_asked_for_and_change_nothing(name):
    network, frames = encoder(name, input="rgb"), clips()
    with torch.no_grad():
        before = network(frames)
        network.give_moments()
        after = network(frames)
    assert before.moments is None
    assert after.moments.shape[:2] in [(2, 4), (2, 8)]
    torch.testing.assert_close(after.features, before.features, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_moments_are_in_the_order_of_time(name):
    network, frames = encoder(name, input="rgb"), clips()
    network.give_moments()
    with torch.no_grad():
        before, centres = network(frames).moments, []
        for hidden in (slice(0, 2), slice(6, 8)):
            covered = frames.clone()
            covered[:, :, hidden] = 0
            changes = (network(covered).moments - before).norm(dim=2).mean(0)
            centres.append((changes * torch.arange(len(changes))).sum() / changes.sum())
    assert centres[0] + 0.02 < centres[1]


def naive(network, frames):
    """The stages of r3d_tiny one by one; the last of at least four times, averaged over the picture."""
    maps = [network.stem(frames)]
    for stage in network.stages:
        maps.append(stage(maps[-1]))
    most = max(shown.shape[2] for shown in maps)
    wide = [shown for shown in maps if shown.shape[2] >= min(4, most)]
    return torch.stack([wide[-1][:, :, time].mean((2, 3)) for time in range(wide[-1].shape[2])], 1)


@pytest.mark.parametrize(("time", "moments", "channels"), [(3, 3, 4), (8, 4, 8), (16, 4, 16), (32, 4, 32)])
def test_the_last_stage_of_four_times_is_taken(time, moments, channels):
    network, frames = encoder("r3d_tiny", input="rgb"), clips(time)
    trunk = network.trunks["rgb"]
    network.give_moments()
    with torch.no_grad():
        found = network(frames).moments
        expected = naive(trunk, network.stream("rgb", frames, None)[0])
        maps = run_stages(trunk.parts(), network.stream("rgb", frames, None)[0])
    assert found.shape == (2, moments, channels)
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(moments_of(maps), expected)


def test_moments_of_two_streams_stand_side_by_side():
    both, frames = encoder("sora", input="both"), clips()
    alone = []
    for name in ("rgb", "residual"):
        trunk = both.trunks[name]
        trunk.gives_moments = True
        alone.append(trunk(*both.stream(name, frames, None)).moments)
    assert [part.shape[1] for part in alone] == [8, 7]
    seven = adaptive_avg_pool1d(alone[0].mT, 7).mT
    expected = torch.cat([normalize(seven, dim=2), normalize(alone[1], dim=2)], 2)
    torch.testing.assert_close(both(frames).moments, expected)
