import io
import math

import numpy as np
import pytest
import torch
from PIL import Image

from sora_video.pretrain.views.compression import CHROMA_STEPS, LUMA_STEPS, compress


@pytest.fixture
def clips():
    """(2, 3, 32, 32, 3) float in [0, 1] with structure at all scales, away from black and white."""
    torch.manual_seed(0)
    fine = 0.2 * torch.rand(2, 3, 32, 32, 3)
    coarse = torch.nn.functional.interpolate(torch.rand(6, 3, 6, 6), (32, 32), mode="bicubic")
    return (0.2 + 0.4 * coarse.view(2, 3, 3, 32, 32).permute(0, 1, 3, 4, 2) + fine).clamp(0, 1)


def compressed(clips, blocks, quality, dtype=torch.float32):
    count = len(clips)
    return compress(clips, torch.full((count,), float(blocks)), torch.full((count,), float(quality)), dtype)


def scaled_by_loops(picture, size):
    """One picture (S, S, 3) by triangles that are one pixel of the smaller picture wide, pixel by pixel."""
    old = len(picture)
    weights = np.zeros((size, old))
    for i in range(size):
        for j in range(old):
            away = (i + 0.5) / size - (j + 0.5) / old
            weights[i, j] = max(0.0, 1 - abs(away) * min(size, old))
        weights[i] /= weights[i].sum()
    return np.einsum("ij,jkc,lk->ilc", weights, picture, weights)


def wave(size, frequency, place):
    """A value of the discrete cosine transform's base."""
    norm = math.sqrt((1 if frequency == 0 else 2) / size)
    return norm * math.cos(math.pi * frequency * (2 * place + 1) / (2 * size))


def compressed_by_definition(clip, blocks, quality):
    """One clip (T, S, S, 3): sums over cosines, block by block and coefficient by coefficient."""
    time, size = clip.shape[:2]
    small = np.stack([scaled_by_loops(frame, 8 * blocks) for frame in clip]) * 255
    red, green, blue = np.moveaxis(small, -1, 0)
    luma = 0.299 * red + 0.587 * green + 0.114 * blue
    planes = [luma - 128, (blue - luma) / 1.772, (red - luma) / 1.402]
    percent = 5000 / quality if quality < 50 else 200 - 2 * quality
    waves = np.array([[wave(8, u, i) for i in range(8)] for u in range(8)])
    over_time = np.array([[wave(time, w, t) for t in range(time)] for w in range(time)])
    for plane, table in zip(planes, (LUMA_STEPS, CHROMA_STEPS, CHROMA_STEPS), strict=True):
        for top in range(0, 8 * blocks, 8):
            for left in range(0, 8 * blocks, 8):
                block, rebuilt = plane[:, top : top + 8, left : left + 8], np.zeros((time, 8, 8))
                for w in range(time):
                    for u in range(8):
                        for v in range(8):
                            base = np.multiply.outer(over_time[w], np.outer(waves[u], waves[v]))
                            step = min(255, max(1, math.floor(table[u][v] * percent / 100 + 0.5)))
                            rebuilt += round((base * block).sum() / step) * step * base
                plane[:, top : top + 8, left : left + 8] = rebuilt
    luma, blue, red = planes[0] + 128, planes[1] * 1.772, planes[2] * 1.402
    blue, red = blue + luma, red + luma
    green = (luma - 0.299 * red - 0.114 * blue) / 0.587
    small = np.stack([red, green, blue], -1)
    return np.stack([scaled_by_loops(frame, size) for frame in small]).clip(0, 255) / 255


@pytest.mark.parametrize(
    ("blocks", "quality"), [(4, 12), (3, 40), pytest.param(2, 75, marks=pytest.mark.slow)]
)
def test_values_are_those_of_the_definition(clips, blocks, quality):
    found = compressed(clips, blocks, quality)
    expected = np.stack(
        [compressed_by_definition(clip.numpy().astype(float), blocks, quality) for clip in clips]
    )
    difference = np.abs(found.numpy() - expected)
    assert difference.mean() < 1e-4
    assert (difference > 1e-3).mean() < 0.02  # coefficients halfway between two multiples
    assert (found - clips).abs().mean() > 0.01


@pytest.mark.parametrize("quality", [5, 15, 30, 60, 90])
def test_single_frames_are_those_of_a_jpeg_file(clips, quality):
    pixels = (clips[:, :1] * 255).round()
    found = compressed(pixels / 255, 4, quality)[:, 0] * 255
    for picture, ours in zip(pixels[:, 0].byte().numpy(), found.numpy(), strict=True):
        file = io.BytesIO()
        Image.fromarray(picture).save(file, "JPEG", quality=quality, subsampling=0)
        theirs = np.asarray(Image.open(file), np.float64)
        lost = np.abs(theirs - picture).mean()
        assert np.abs(ours - picture).mean() == pytest.approx(lost, rel=0.02)
        assert np.abs(ours - theirs).mean() < 0.4 * lost  # libjpeg rounds colours before it transforms them


def test_the_best_quality_changes_little(clips):
    assert (compressed(clips, 4, 100) - clips).abs().max() < 0.02


def test_worse_quality_and_fewer_pixels_lose_more(clips):
    losses = [
        [(compressed(clips, blocks, quality) - clips).square().mean() for quality in (60, 20, 5)]
        for blocks in (4, 2)
    ]
    assert losses[0] == sorted(losses[0])
    assert losses[1] == sorted(losses[1])
    assert all(full < half for full, half in zip(*losses, strict=True))


def test_what_stands_still_does_not_flicker(clips):
    still = clips[:, :1].repeat(1, 5, 1, 1, 1)
    found = compressed(still, 4, 10)
    torch.testing.assert_close(found, found[:, :1].expand_as(found), atol=1e-5, rtol=0)


def test_clips_of_a_batch_have_their_own_size_and_quality(clips):
    blocks, quality = torch.tensor([4.0, 2.0]), torch.tensor([10.0, 50.0])
    together = compress(clips, blocks, quality)
    for n in range(2):
        alone = compress(clips[n : n + 1], blocks[n : n + 1], quality[n : n + 1])
        torch.testing.assert_close(together[n : n + 1], alone, atol=1e-5, rtol=0)


def test_sides_that_are_no_multiple_of_a_block_are_scaled():
    clips = torch.full((1, 2, 37, 37, 3), 0.4)
    found = compressed(clips, 4, 100)
    assert found.shape == clips.shape
    torch.testing.assert_close(found, clips, atol=0.01, rtol=0)


def test_bf16_is_close_to_fp32(clips):
    for quality in (5, 30):
        exact, rough = (compressed(clips, 3, quality, dtype) for dtype in (torch.float32, torch.bfloat16))
        assert rough.dtype == torch.float32
        assert (rough - exact).abs().mean() < 0.25 * (exact - clips).abs().mean()
        assert (rough - exact).abs().mean() < 6e-3
