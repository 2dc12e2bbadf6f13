import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from sora_video.base.errors import ConfigError, VideoError
from sora_video.downstream.explain.explain import Explanation, explain_video, write_explanation
from sora_video.downstream.explain.summary import summarize_video
from sora_video.pretrain.encoders.attention import frame_weights
from sora_video.pretrain.encoders.frozen import random_encoder
from sora_video.pretrain.encoders.joined import JoinedEncoder
from sora_video.pretrain.video.inspect import inspect
from sora_video.pretrain.video.slices import Slices

ENCODERS = {
    "r3d_tiny": ("encoder.name=r3d_tiny",),
    "sora": ("encoder.name=sora",),
    "sora of frames": ("encoder.name=sora", "encoder.input=rgb"),
    "sora_multiscale": ("encoder.name=sora_multiscale",),
    "sora_av": ("encoder.name=sora_av", "encoder.av.dim=16", "encoder.av.mels=16"),
}


@pytest.fixture(scope="module", params=ENCODERS)
def encoder(request, make_config):
    """An untrained encoder; what it attends to is arbitrary, but must add up."""
    return random_encoder(make_config(*ENCODERS[request.param]))


def slices_of(frames, lengths=None):
    count = len(frames)
    given = np.full(count, frames.shape[1]) if lengths is None else np.array(lengths)
    return Slices(frames, given, np.zeros((count, 16000), np.int16), np.zeros(count, bool))


def noise(count, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, 8, 32, 32, 3), np.uint8)


def test_weights_are_shares_of_the_frames_that_are_there(encoder):
    frames = noise(3)
    frames[1, 5:], frames[2, 1:] = frames[1, 4], frames[2, 0]
    weights = frame_weights(encoder, slices_of(frames, [8, 5, 1]))
    assert weights.shape == (3, 8)
    np.testing.assert_allclose(weights.sum(1), 1, atol=1e-5)
    assert (weights >= 0).all()
    assert not weights[1, 5:].any()
    assert weights[2].tolist() == [1] + [0] * 7


@pytest.mark.parametrize("encoder", ["sora of frames"], indirect=True)
def test_weights_are_the_networks_attention(encoder):
    frames = noise(2)
    clips = torch.from_numpy(frames).float().div(255).permute(0, 4, 1, 2, 3)
    with torch.inference_mode():
        expected = encoder.network(clips).attention
    np.testing.assert_allclose(frame_weights(encoder, slices_of(frames)), expected, atol=1e-6)


@pytest.mark.parametrize("encoder", ["r3d_tiny"], indirect=True)
def test_occlusion_finds_the_frame_that_makes_the_difference(encoder):
    """All frames are alike but one, so that covering any other changes nothing."""
    frames = np.repeat(noise(1)[:, :1], 8, axis=1)
    frames[0, 5] = 255 - frames[0, 5]
    weights = frame_weights(encoder, slices_of(frames))[0]
    assert weights.argmax() in (5, 6)  # 6, covered, would look like 5
    assert weights[[0, 1, 2, 3, 4, 7]].max() < 0.01


@pytest.mark.parametrize("encoder", ["r3d_tiny"], indirect=True)
def test_the_last_frame_is_covered_as_long_as_it_is_held(encoder):
    frames = np.repeat(noise(1)[:, :1], 8, axis=1)
    frames[0, 4:] = 255 - frames[0, 4]
    assert frame_weights(encoder, slices_of(frames, [5]))[0].argmax() == 4


@pytest.mark.parametrize("encoder", ["r3d_tiny"], indirect=True)
def test_a_still_picture_has_even_weights(encoder):
    frames = np.repeat(noise(1)[:, :1], 8, axis=1)
    np.testing.assert_allclose(frame_weights(encoder, slices_of(frames)), 1 / 8, atol=1e-6)


def test_every_slice_is_explained(encoder, heard_videos):
    path = heard_videos / "clip 4.mp4"
    found = explain_video(path, encoder)
    expected = encoder.embed(path)
    np.testing.assert_allclose(found.start_s, expected.start_s)
    np.testing.assert_allclose(found.vectors, expected.vectors, atol=1e-6)
    np.testing.assert_allclose(found.end_s, expected.end_s)
    assert found.weights.shape == found.times.shape == (len(expected), 8)
    assert (np.diff(found.times) > 0).all()
    span = explain_video(path, encoder, 0.5, 1.75)
    assert span.start_s.min() == 0.5
    assert span.times.max() < 1.75 + 1e-6


@pytest.fixture(scope="module")
def pair(make_config):
    """Untrained encoders: of slices of 1 s, and of 2 s, at half the rate."""
    longer = ("slice.fps=4", "slice.frames=8", "seed=1")
    return [random_encoder(make_config()), random_encoder(make_config(*longer))]


def test_weights_of_joined_encoders_are_averaged_as_their_cosines(pair, videos):
    path, (first, longer) = videos / "even/clip 6.mp4", pair
    joined = JoinedEncoder(pair, [1, 2])
    found = explain_video(path, joined)
    np.testing.assert_allclose(found.vectors, joined.embed(path).vectors, atol=1e-6)
    alone, end_s = explain_video(path, first), float(found.end_s[-1])
    for row, start_s in enumerate(found.start_s):
        others = min(max(0.0, start_s - 0.5), end_s - 2)
        spread = explain_video(path, longer, others, others + 2).weights[0]
        seconds = others + np.arange(8) / 4
        expected = 0.2 * alone.weights[row]
        for number in range(8):
            cell_s = start_s + number / 8
            shared = np.minimum(seconds + 0.25, cell_s + 0.125) - np.maximum(seconds, cell_s)
            expected[number] += 0.8 * (spread * shared.clip(min=0) / 0.25).sum()
        np.testing.assert_allclose(found.weights[row], expected / expected.sum(), atol=1e-4)


def test_joined_encoders_sum_a_video_up(videos, tiny_run, untrained_run, tmp_path):
    other = untrained_run(tmp_path / "run", "encoder.width=4", "slice.size=48", "slice.frames=4")
    summary = summarize_video(videos / "odd/clip 7.mp4", f"{tiny_run.path}+{other}*0.5", tmp_path / "s")
    assert len(summary.keyframes) == 3
    assert (tmp_path / "s" / "contact.png").is_file()


def test_what_cannot_be_explained_is_refused(tiny_run, videos, tmp_path):
    with pytest.raises(VideoError, match=r"span 0:01.00 to 1:39.00 is not within its 0:00.00 to 0:0"):
        explain_video(videos / "even/clip 0.mp4", tiny_run.path, 1, 99)
    with pytest.raises(VideoError, match="file does not exist"):
        explain_video(tmp_path / "none.mp4", tiny_run.path)
    found = explain_video(videos / "even/clip 0.mp4", tiny_run.path)
    with pytest.raises(ConfigError, match=r"--out .*a\.gif: an explanation is a \.png or \.html"):
        write_explanation(found, tmp_path / "a.gif")


def explanation(video, starts, weights, lengths=None):
    """What would be said of slices of half a second."""
    count, frames = weights.shape
    times = starts[:, None] + (np.arange(frames) + 0.5) / (2 * frames)
    given = np.full(count, frames) if lengths is None else np.array(lengths)
    return Explanation(
        video, starts, starts + 0.5, given, times, weights, np.zeros((count, 3), np.float32), "f"
    )


def test_a_picture_shows_every_slice_and_marks_the_frames_that_weigh_most(tmp_path, videos):
    weights = np.full((2, 4), 0.1, np.float32)
    weights[0, 1], weights[1, 3] = 0.7, 0.7
    found = explanation(videos / "even/clip 0.mp4", np.array([0.0, 0.5]), weights)
    assert found.marked(0).tolist() == [0, 1]
    assert found.marked(1).tolist() == [0, 3]
    write_explanation(found, tmp_path / "a.png")
    picture = np.asarray(Image.open(tmp_path / "a.png").convert("RGB")).astype(int)
    blue = (np.abs(picture - [0x2F, 0x6F, 0xDE]).sum(2) < 30).any(axis=0)
    assert blue.any()
    write_explanation(found, tmp_path / "a.html")
    page = (tmp_path / "a.html").read_text(encoding="utf-8")
    assert page.count("<svg") == 2
    assert "2 of 2 slices" in page
    assert "0:00.5 to 0:01.0" in page


def test_frames_past_the_videos_end_are_not_shown(tmp_path, videos):
    weights = np.array([[0, 1, 0, 0]], np.float32)
    found = explanation(videos / "even/clip 0.mp4", np.array([1.75]), weights, [1])
    assert found.marked(0).tolist() == [0]
    write_explanation(found, tmp_path / "a.html")
    page = (tmp_path / "a.html").read_text(encoding="utf-8")
    assert re.findall(r"\d:\d\d\.\d\d(?= ?<)", page)[-1:] == ["0:01.81"]
    assert "0:01.94" not in page


def test_a_long_video_is_shown_by_slices_spread_over_it():
    count = 100
    found = explanation(Path("a.mp4"), np.arange(count) * 1.0, np.full((count, 4), 0.25, np.float32))
    shown = found.shown()
    assert len(shown) == len(set(shown)) == 40
    assert (shown[0], shown[-1]) == (0, 99)


def test_the_command_writes_an_explanation(videos, tiny_run, tmp_path, sora):
    out = tmp_path / "why.html"
    code, said = sora("explain", videos / "even/clip 0.mp4", "--model", tiny_run.path, "--out", out)
    assert (code, said) == (0, f"2 of 2 slices in {out}\n")
    assert "<svg" in out.read_text(encoding="utf-8")


def test_the_command_sums_a_video_up(heard_videos, tiny_run, tmp_path, sora):
    video, out = heard_videos / "clip 4.mp4", tmp_path / "s"
    code, said = sora("summarize", video, "--model", tiny_run.path, "--out", out, "--keyframes", 2, "--json")
    assert code == 0
    told = json.loads(said)
    assert told == json.loads((out / "summary.json").read_text(encoding="utf-8"))
    assert len(told["keyframes"]) == 2
    made = inspect(out / "highlight.mp4")
    assert made.has_audio
    assert made.duration_s == pytest.approx(
        sum(span["end_s"] - span["start_s"] for span in told["highlights"]), abs=0.08
    )
