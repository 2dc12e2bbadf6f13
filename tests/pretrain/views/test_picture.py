import math

import numpy as np
import pytest
import torch
from torchvision.transforms.v2 import functional as F

from sora_video.base.randomness import generator
from sora_video.configs.augment import AugmentConfig
from sora_video.pretrain.encoders.inputs import to_clips
from sora_video.pretrain.views.draw_picture import VIEW_FIELDS, draw_view
from sora_video.pretrain.views.picture import apply_views

IDENTITY = (0, 0, 1, 1, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 1, 0)
HEIGHT, WIDTH, SIZE = 60, 80, 32
LUMA = (0.299, 0.587, 0.114)


@pytest.fixture
def frames():
    """(2, 3, 60, 80, 3) uint8 with structure at all scales, away from black and white."""
    torch.manual_seed(0)
    fine = torch.randint(0, 40, (2, 3, 3, HEIGHT, WIDTH))
    coarse = torch.nn.functional.interpolate(torch.rand(6, 3, 6, 8), (HEIGHT, WIDTH), mode="bicubic")
    pixels = (60 + 90 * coarse.view(2, 3, 3, HEIGHT, WIDTH) + fine).clamp(0, 255)
    return pixels.permute(0, 1, 3, 4, 2).to(torch.uint8).contiguous()


def view(**changes):
    """The identity view with some fields changed; ``box`` is in pixels, ``matrix`` is 3x3."""
    fields = list(map(float, IDENTITY))
    if "box" in changes:
        left, top, width, height = changes["box"]
        fields[:4] = [left / WIDTH, top / HEIGHT, width / WIDTH, height / HEIGHT]
    fields[4] = changes.get("flip", 0.0)
    if "matrix" in changes:
        fields[5:14] = torch.as_tensor(changes["matrix"], dtype=torch.float64).flatten().tolist()
    fields[14], fields[15] = changes.get("contrast", 1.0), changes.get("sigma", 0.0)
    return torch.tensor([fields, fields], dtype=torch.float32)


def images(frames):
    """(N, T, 3, H, W) float in [0, 1], what torchvision takes."""
    return frames.permute(0, 1, 4, 2, 3).float() / 255


def made(frames, size=SIZE, dtype=torch.float32, **changes):
    """One view of each slice as (N, T, 3, S, S)."""
    return apply_views(frames, view(**changes), size, dtype).transpose(1, 2)


def inside(pictures, border=3):
    return pictures[..., border:-border, border:-border]


def test_the_identity_view_returns_the_frames(frames):
    square = frames[:, :, :, :HEIGHT].contiguous()
    torch.testing.assert_close(made(square, HEIGHT), images(square), atol=1e-6, rtol=0)
    torch.testing.assert_close(to_clips(square), images(square).transpose(1, 2))


@pytest.mark.parametrize("box", [(10, 8, 32, 32), (7, 5, 48, 50), (20, 12, 20, 24), (5, 6, 70, 48)])
def test_crop_and_resize_agree_with_torchvision(frames, box):
    left, top, width, height = box
    expected = F.resized_crop(images(frames), top, left, height, width, [SIZE, SIZE], antialias=True)
    torch.testing.assert_close(inside(made(frames, box=box)), inside(expected), atol=2e-3, rtol=0)


def test_flip_agrees_with_torchvision(frames):
    box = (10, 8, 48, 40)
    expected = F.hflip(made(frames, box=box))
    torch.testing.assert_close(made(frames, box=box, flip=1.0), expected, atol=1e-6, rtol=0)


def test_grey_agrees_with_torchvision(frames):
    matrix = torch.tensor(LUMA).repeat(3, 1)
    expected = F.rgb_to_grayscale(made(frames), num_output_channels=3)
    torch.testing.assert_close(made(frames, matrix=matrix), expected, atol=1e-3, rtol=0)


@pytest.mark.parametrize("factor", [0.6, 1.0, 1.4, 3.0])
def test_brightness_agrees_with_torchvision(frames, factor):
    expected = F.adjust_brightness(made(frames), factor)
    torch.testing.assert_close(made(frames, matrix=factor * torch.eye(3)), expected, atol=1e-4, rtol=0)


@pytest.mark.parametrize("factor", [0.6, 1.4])
def test_contrast_agrees_with_torchvision_on_a_clip_that_stands_still(frames, factor):
    still = frames[:, :1].repeat(1, 3, 1, 1, 1)
    expected = F.adjust_contrast(made(still), factor)
    torch.testing.assert_close(made(still, contrast=factor), expected, atol=1e-3, rtol=0)


@pytest.mark.parametrize("factor", [0.0, 0.6, 1.4])
def test_saturation_agrees_with_torchvision(frames, factor):
    matrix = factor * torch.eye(3) + (1 - factor) * torch.tensor(LUMA).repeat(3, 1)
    expected = F.adjust_saturation(made(frames), factor)
    torch.testing.assert_close(made(frames, matrix=matrix), expected, atol=1e-3, rtol=0)


@pytest.mark.parametrize("sigma", [0.5, 1.0, 2.0])
def test_blur_agrees_with_torchvision(frames, sigma):
    expected = F.gaussian_blur(made(frames), kernel_size=[25, 25], sigma=[sigma, sigma])
    found = made(frames, sigma=sigma)
    torch.testing.assert_close(inside(found, 10), inside(expected, 10), atol=1e-4, rtol=0)


def test_a_turn_of_hue_keeps_brightness():
    config = AugmentConfig(jitter=1, brightness=0, contrast=0, saturation=0, hue=0.5, grey=0)
    for seed in range(20):
        matrix = draw_view(generator(seed), config)[5:14].reshape(3, 3)
        np.testing.assert_allclose(np.array(LUMA) @ matrix, LUMA, atol=2e-3)
        np.testing.assert_allclose(matrix @ np.ones(3), 1, atol=2e-3)


def test_the_same_draw_holds_for_all_frames_of_a_view(frames):
    still = frames[:, :1].repeat(1, 5, 1, 1, 1)
    views = np.stack([draw_view(generator(seed), AugmentConfig()) for seed in range(2)])
    clips = apply_views(still, torch.from_numpy(views), SIZE)
    torch.testing.assert_close(clips, clips[:, :, :1].expand_as(clips), atol=1e-6, rtol=0)
    assert (clips[0] - clips[1]).abs().max() > 0.05


def test_views_of_a_batch_do_not_touch_each_other(frames):
    views = torch.from_numpy(np.stack([draw_view(generator(seed), AugmentConfig()) for seed in range(2)]))
    together = apply_views(frames, views, SIZE)
    alone = torch.cat([apply_views(frames[i : i + 1], views[i : i + 1], SIZE) for i in range(2)])
    torch.testing.assert_close(together, alone, atol=1e-6, rtol=0)


def test_bf16_products_are_close_to_fp32(frames):
    for seed in range(10):
        views = torch.from_numpy(np.stack([draw_view(generator(seed, n), AugmentConfig()) for n in range(2)]))
        exact = apply_views(frames, views, SIZE)
        rough = apply_views(frames, views, SIZE, torch.bfloat16)
        assert rough.dtype == torch.float32
        assert (rough - exact).abs().mean() < 2e-3
        assert (rough - exact).abs().max() < 2e-2


def test_views_are_in_range_with_the_stated_shape(frames):
    for seed in range(20):
        views = torch.from_numpy(np.stack([draw_view(generator(seed, n), AugmentConfig()) for n in range(2)]))
        clips = apply_views(frames, views, 24)
        assert clips.shape == (2, 3, 3, 24, 24)
        assert clips.min() >= 0
        assert clips.max() <= 1


def test_a_draw_depends_only_on_its_key():
    draws = [draw_view(generator(0, "view", number), AugmentConfig()) for number in (0, 1, 0)]
    np.testing.assert_array_equal(draws[0], draws[2])
    assert draws[0].shape == (VIEW_FIELDS,)
    assert (draws[0] != draws[1]).any()


def test_crops_keep_area_aspect_and_frame():
    config = AugmentConfig(crop_area=(0.2, 0.77), crop_aspect=(0.75, 1.3333))
    boxes = np.array([draw_view(generator(seed), config)[:4] for seed in range(3000)], np.float64)
    left, top, width, height = boxes.T
    assert ((width * height >= 0.2 - 1e-6) & (width * height <= 0.77 + 1e-6)).all()
    assert ((width / height >= 0.75 - 1e-4) & (width / height <= 1.3333 + 1e-4)).all()
    assert (boxes[:, :2] >= 0).all()
    assert ((left + width <= 1 + 1e-6) & (top + height <= 1 + 1e-6)).all()
    assert np.ptp(width * height) > 0.5


def test_a_crop_that_cannot_fit_falls_back_to_the_centre():
    config = AugmentConfig(crop_area=(0.9, 0.9), crop_aspect=(3.0, 3.0))
    left, top, width, height = draw_view(generator(0), config)[:4].tolist()
    assert width == height == pytest.approx(math.sqrt(0.9))
    assert left == top == pytest.approx((1 - width) / 2)


@pytest.mark.parametrize(("name", "field"), [("flip", 4), ("blur", 15)])
def test_a_probability_is_how_often(name, field):
    for probability in (0.0, 0.3, 1.0):
        config = AugmentConfig(**{name: probability})
        share = np.mean([draw_view(generator(seed), config)[field] > 0 for seed in range(2000)])
        assert share == pytest.approx(probability, abs=0.04)


def test_grey_views_have_equal_channels(frames):
    views = np.stack([draw_view(generator(n), AugmentConfig(grey=1.0)) for n in range(2)])
    clips = apply_views(frames, torch.from_numpy(views), SIZE)
    torch.testing.assert_close(clips, clips[:, :1].expand_as(clips), atol=1e-5, rtol=0)
