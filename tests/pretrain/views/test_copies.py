import numpy as np
import pytest
import torch

from sora_video.base.randomness import generator
from sora_video.configs.augment import MOST_OVERLAYS, AugmentConfig
from sora_video.pretrain.views.compression import compress
from sora_video.pretrain.views.copies import apply_copies
from sora_video.pretrain.views.cover import cover
from sora_video.pretrain.views.draw_copy import COPY_FIELDS, RECTANGLE_FIELDS, RECTANGLES, draw_copy

EVERYTHING = {"overlay": 0.6, "border": 0.5, "compress": 0.5}


def drawn(count, **settings):
    config = AugmentConfig(size=32, **settings)
    return np.stack([draw_copy(generator(number), config) for number in range(count)])


def rectangles_of(copies):
    return copies[:, 2:].reshape(-1, RECTANGLES, RECTANGLE_FIELDS)


def covered_by_loops(clip, rectangles):
    """One clip (T, H, W, 3), one rectangle after the other from the lowest up, by 8 x 8 points in a pixel."""
    result = clip.astype(np.float64)
    _, height, width, _ = clip.shape
    points = (np.arange(8) + 0.5) / 8
    for left, top, right, bottom, opacity, *colour in rectangles[::-1]:
        for y in range(height):
            for x in range(width):
                tall = np.mean((y + points >= top * height) & (y + points < bottom * height))
                wide = np.mean((x + points >= left * width) & (x + points < right * width))
                part = opacity * tall * wide
                result[:, y, x] = (1 - part) * result[:, y, x] + part * np.array(colour)
    return result


def test_rectangles_are_those_of_a_slow_reference():
    clips = torch.rand(4, 2, 24, 32, 3)
    rectangles = rectangles_of(drawn(40, overlay=1, border=0.5, overlay_area=(0.1, 0.4)))
    rectangles[..., :4] = (rectangles[..., :4] * 64).round() / 64  # so that the points of a pixel are exact
    few = rectangles[[0, 7, 11, 30]]
    found = cover(clips, torch.from_numpy(few))
    for clip, painted, ours in zip(clips.numpy(), few, found.numpy(), strict=True):
        np.testing.assert_allclose(ours, covered_by_loops(clip, painted), atol=1e-5)


def test_only_what_was_drawn_is_changed_and_covering_comes_first():
    copies = drawn(24, **EVERYTHING)
    clips = torch.rand(24, 2, 32, 32, 3)
    fields = torch.from_numpy(copies)
    found = apply_copies(clips.clone().permute(0, 4, 1, 2, 3), fields).permute(0, 2, 3, 4, 1)
    kinds = set()
    for n, clip in enumerate(clips):
        expected, painted = clip[None], torch.from_numpy(rectangles_of(copies[n : n + 1]))
        covers, compresses = bool((painted[..., 4] > 0).any()), bool(copies[n, 0])
        if covers:
            expected = cover(expected, painted)
        if compresses:
            expected = compress(expected, fields[n : n + 1, 0], fields[n : n + 1, 1])
        torch.testing.assert_close(found[n : n + 1], expected, atol=1e-5, rtol=0)
        kinds.add((covers, compresses))
    assert len(kinds) == 4


def test_no_copies_are_no_change():
    clips = torch.rand(2, 3, 2, 32, 32)
    config = AugmentConfig()
    assert draw_copy(generator(0), config).shape == (0,)
    assert apply_copies(clips, torch.zeros(2, 0)) is clips
    before = clips.clone()
    channels_last = clips.permute(0, 2, 3, 4, 1).contiguous().permute(0, 4, 1, 2, 3)
    assert torch.equal(apply_copies(channels_last, torch.zeros(2, COPY_FIELDS)), before)


def test_all_frames_are_covered_alike():
    clips = torch.rand(8, 1, 32, 32, 3).repeat(1, 4, 1, 1, 1)
    found = cover(clips, torch.from_numpy(rectangles_of(drawn(8, overlay=1, border=1))))
    torch.testing.assert_close(found, found[:, :1].expand_as(found), atol=1e-6, rtol=0)


@pytest.mark.parametrize("probability", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("name", ["overlay", "border", "compress"])
def test_a_probability_is_how_often(name, probability):
    copies = drawn(2000, **{**EVERYTHING, name: probability})
    opacity = rectangles_of(copies)[..., 4]
    happens = {
        "overlay": (opacity[:, 2:] > 0).any(1),
        "border": (opacity[:, :2] > 0).all(1),
        "compress": copies[:, 0] > 0,
    }[name]
    assert happens.mean() == pytest.approx(probability, abs=0.04)


def test_draws_stay_within_their_ranges():
    copies = drawn(
        3000, overlay=1, border=1, compress=1, overlay_count=MOST_OVERLAYS, overlay_area=(0.02, 0.2),
        border_width=(0.1, 0.3), compress_size=(0.5, 1.0), compress_quality=(7, 9),
    )  # fmt: skip
    assert copies.shape == (3000, COPY_FIELDS)
    assert copies.dtype == np.float32
    assert set(copies[:, 0]) == {2, 3, 4}
    assert copies[:, 1].min() >= 7
    assert copies[:, 1].max() <= 9
    left, top, right, bottom, opacity, *colour = np.moveaxis(rectangles_of(copies), -1, 0)
    assert min(map(np.min, (left, top, *colour))) >= 0
    assert max(map(np.max, (right, bottom, *colour))) <= 1 + 1e-6
    assert (opacity[:, :2] == 1).all()
    widths = np.minimum(right - left, bottom - top)[:, :2]
    np.testing.assert_allclose(widths[:, 0], widths[:, 1], atol=1e-6)
    assert widths.min() == pytest.approx(0.1, abs=1e-3)
    assert widths.max() == pytest.approx(0.3, abs=1e-3)
    there = opacity[:, 2:] > 0
    assert set(there.sum(1)) == {1, 2, 3, 4}
    areas = ((right - left) * (bottom - top))[:, 2:][there]
    assert areas.min() == pytest.approx(0.02, abs=1e-3)
    assert areas.max() == pytest.approx(0.2, abs=1e-3)
    opaque = (opacity[:, 2:][there] == 1).mean()
    assert opaque == pytest.approx(0.5, abs=0.03)


@pytest.mark.parametrize(("size", "blocks"), [(16, {1, 2}), (20, {1, 2}), (56, {4, 5, 6, 7})])
def test_small_views_have_blocks_too(size, blocks):
    config = AugmentConfig(size=size, compress=1, compress_size=(0.5, 1))
    assert {draw_copy(generator(number), config)[0] for number in range(60)} == blocks


def test_a_draw_depends_only_on_its_key():
    draws = [draw_copy(generator("a", number), AugmentConfig(**EVERYTHING)) for number in (0, 1, 0)]
    np.testing.assert_array_equal(draws[0], draws[2])
    assert (draws[0] != draws[1]).any()
