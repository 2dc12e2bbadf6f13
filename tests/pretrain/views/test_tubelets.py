import math
from itertools import pairwise

import numpy as np
import pytest
import torch

from sora_video.configs.augment import AugmentConfig
from sora_video.pretrain.views.draw_tubelet import TUBELET_FIELDS, TUBELETS, draw_tubelets
from sora_video.pretrain.views.tubelets import paste_tubelets

SAMPLES = 6


@pytest.fixture
def frames():
    """(6, 5, 48, 64, 3) uint8 noise, so that every pixel says where it comes from."""
    return torch.randint(0, 256, (SAMPLES, 5, 48, 64, 3), dtype=torch.uint8)


def drawn(count, **settings):
    config = AugmentConfig(**{"tubelet": 1.0, **settings})
    return np.stack([draw_tubelets((number,), config) for number in range(count)])


def point_on_curve(points, passed):
    """De Casteljau: midpoints of midpoints."""
    points = list(points)
    while len(points) > 1:
        points = [a + passed * (b - a) for a, b in pairwise(points)]
    return points[0]


def pasted_pixel_by_pixel(frames, tubelets):
    """What the tubelets' numbers say, without any vectorisation."""
    result = frames.copy()
    count, time, height, width, _ = frames.shape
    for n in range(count):
        for fields in tubelets[n].astype(np.float64):
            moment, centre_x, centre_y, size_x, size_y, *rest = fields
            path_x, path_y, growth, (first, last) = rest[:4], rest[4:8], rest[8], rest[9:]
            if size_x == 0:
                continue
            source = frames[n, min(int(moment * time), time - 1)]
            for t in range(time):
                passed = t / (time - 1)
                zoom, turn = 1 + (growth - 1) * passed, first + (last - first) * passed
                x0, y0 = point_on_curve(path_x, passed) * width, point_on_curve(path_y, passed) * height
                for y in range(height):
                    for x in range(width):
                        away = complex(x + 0.5 - x0, y + 0.5 - y0) / zoom
                        away *= complex(math.cos(turn), -math.sin(turn))
                        a, b = away.real / (size_x * width / 2), away.imag / (size_y * height / 2)
                        if a**2 + b**2 < 1:
                            row = int(centre_y * height + away.imag)
                            result[n, t, y, x] = source[row, int(centre_x * width + away.real)]
    return result


@pytest.mark.slow
def test_pixels_are_those_of_a_slow_reference(frames):
    tubelets = drawn(SAMPLES, tubelet=0.8, tubelet_size=(0.1, 0.7), tubelet_turn=0.5)
    assert 0 < (tubelets[:, 0, 3] > 0).sum() < SAMPLES
    expected = pasted_pixel_by_pixel(frames.numpy(), tubelets)
    found = paste_tubelets(frames, torch.from_numpy(tubelets)).numpy()
    assert (expected != frames.numpy()).any(-1).mean() > 0.05
    assert (found != expected).any(-1).mean() < 2e-4  # ties of rounding


def test_a_patch_moves_on_a_straight_line():
    frames = torch.randint(0, 200, (1, 4, 32, 32, 3), dtype=torch.uint8)
    frames[:, 0, :10, :10] = 255
    # A circle of 8 pixels out of the white square, at even speed from x = 6 to x = 24.
    fields = [0, 5 / 32, 5 / 32, 0.25, 0.25, *np.linspace(6, 24, 4) / 32, *[16 / 32] * 4, 1, 0, 0]
    pasted = paste_tubelets(frames, torch.tensor([[fields]], dtype=torch.float32))
    for t, x in enumerate((6, 12, 18, 24)):
        changed = (pasted[0, t] != frames[0, t]).any(-1)
        assert (pasted[0, t][changed] == 255).all()
        assert changed[15:17, x - 4 : x + 4].all()
        assert changed.sum() == changed[12:20, x - 4 : x + 4].sum() == 52


def test_the_frames_that_are_given_stay_as_they_are(frames):
    before = frames.clone()
    pasted = paste_tubelets(frames, torch.from_numpy(drawn(SAMPLES)))
    assert torch.equal(frames, before)
    assert (pasted != frames).flatten(1).any(1).all()


def test_a_slice_depends_on_itself_alone(frames):
    tubelets = torch.from_numpy(drawn(SAMPLES, tubelet=0.5, tubelet_size=(0.1, 0.9)))
    together = paste_tubelets(frames, tubelets)
    for n in range(SAMPLES):
        assert torch.equal(paste_tubelets(frames[n : n + 1], tubelets[n : n + 1])[0], together[n])


def test_no_patch_is_no_change(frames):
    tubelets = torch.zeros(SAMPLES, TUBELETS, TUBELET_FIELDS)
    assert torch.equal(paste_tubelets(frames, tubelets), frames)
    assert draw_tubelets((0,), AugmentConfig()) is None


def test_single_frames_get_patches_too(frames):
    single = frames[:, :1].contiguous()
    pasted = paste_tubelets(single, torch.from_numpy(drawn(SAMPLES)))
    assert (pasted != single).flatten(1).any(1).all()


def test_draws_stay_within_their_ranges():
    tubelets = drawn(3000, tubelet_size=(0.2, 0.4), tubelet_turn=0.1)
    assert tubelets.shape == (3000, TUBELETS, TUBELET_FIELDS)
    assert tubelets.dtype == np.float32
    moment, x, y, width, height, *path, growth, first, last = tubelets.reshape(-1, TUBELET_FIELDS).T
    assert (moment >= 0).all()
    assert (moment < 1).all()
    for middle, side in ((x, width), (y, height)):
        assert (middle - side / 2 >= -1e-6).all()
        assert (middle + side / 2 <= 1 + 1e-6).all()
    for size in (height, height * growth):
        assert size.min() == pytest.approx(0.2, abs=1e-3)
        assert size.max() == pytest.approx(0.4, abs=1e-3)
    assert ((width <= height) & (width >= height / 2 - 1e-6)).all()
    assert np.abs([first, last]).max() == pytest.approx(0.2 * math.pi, rel=1e-2)
    assert 0 <= np.min(path) < 0.01
    assert 0.99 < np.max(path) <= 1


def test_a_probability_is_how_often():
    for probability in (0.3, 1.0):
        share = (drawn(2000, tubelet=probability)[:, :, 3] > 0).all(1).mean()
        assert share == pytest.approx(probability, abs=0.04)


def test_a_draw_depends_only_on_its_key():
    one, other, again = (draw_tubelets(("a", number), AugmentConfig(tubelet=1)) for number in (0, 1, 0))
    np.testing.assert_array_equal(one, again)
    assert (one != other).any()
