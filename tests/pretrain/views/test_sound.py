import numpy as np
import pytest
import torch

from sora_video.configs.augment import AugmentConfig
from sora_video.pretrain.encoders.inputs import to_waveform
from sora_video.pretrain.video.sound import RATE
from sora_video.pretrain.views.draw_sound import SOUND_FIELDS, draw_sound_view
from sora_video.pretrain.views.sound import apply_sound_views


def view(factor=1.0, band=(0.0, 0.0), gap=(0.0, 0.0)):
    return torch.tensor([[factor, *band, *gap]])


def tone(pitch):
    return (8000 * torch.sin(torch.arange(RATE) * 2 * torch.pi * pitch / RATE))[None].short()


def test_the_plain_view_is_the_sound():
    sound = torch.randint(-(2**15), 2**15, (3, RATE), dtype=torch.int16)
    torch.testing.assert_close(
        apply_sound_views(to_waveform(sound), view().expand(3, -1)), sound / 2**15, atol=1e-5, rtol=0
    )


def test_a_view_is_louder_by_its_factor():
    torch.testing.assert_close(
        apply_sound_views(to_waveform(tone(440)), view(2.0)), tone(440) / 2**14, atol=1e-5, rtol=0
    )


@pytest.mark.parametrize(("pitch", "has_audio"), [(500, True), (1500, False), (3500, False), (5000, True)])
def test_a_band_of_pitches_is_silenced(pitch, has_audio):
    found = apply_sound_views(to_waveform(tone(pitch)), view(band=(1000 / 8000, 4000 / 8000)))
    level = found.square().mean().sqrt() / (tone(pitch) / 2**15).square().mean().sqrt()
    assert level == pytest.approx(1.0 if has_audio else 0.0, abs=0.02)


def test_a_stretch_of_time_is_silenced():
    found = apply_sound_views(to_waveform(tone(440)), view(gap=(0.25, 0.5)))[0]
    assert not found[4000:8000].any()
    torch.testing.assert_close(found[:4000], tone(440)[0, :4000] / 2**15, atol=1e-5, rtol=0)
    torch.testing.assert_close(found[8000:], tone(440)[0, 8000:] / 2**15, atol=1e-5, rtol=0)


def test_no_sound_stays_none():
    assert apply_sound_views(torch.empty(3, 0), torch.empty(3, 0)).shape == (3, 0)


def test_draws_stay_within_their_ranges_and_differ():
    config = AugmentConfig(sound_gain_db=6, sound_band=0.3, sound_gap=0.2)
    rng = np.random.default_rng(0)
    draws = np.stack([draw_sound_view(rng, config) for _ in range(2000)])
    assert draws.shape == (2000, SOUND_FIELDS)
    factor, low, high, begin, end = draws.T
    decibels = 20 * np.log10(factor)
    assert (np.abs(decibels) <= 6.001).all()
    assert decibels.std() == pytest.approx(12 / 12**0.5, rel=0.05)  # uniform
    assert (low <= high).all()
    assert high.max() <= 1
    assert 0.15 < (end - begin).max() <= 0.2001
    assert begin.min() >= 0
    assert end.max() <= 1
