from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from sora_video.base.errors import ConfigError
from sora_video.downstream.explain.contact_sheet import draw_contact_sheet
from sora_video.downstream.explain.explain import Explanation
from sora_video.downstream.explain.film import write_highlight
from sora_video.downstream.explain.summary import choose, spread, summarize_video
from sora_video.pretrain.video.decode import open_video
from sora_video.pretrain.video.inspect import inspect
from sora_video.pretrain.video.sound import RATE, read_sound


def slow_choice(vectors, peaks, count):
    """The rule of the docstring, candidate by candidate."""
    rows = range(len(vectors))
    first = max(rows, key=lambda i: (peaks[i] * np.mean([vectors[i] @ vectors[j] for j in rows]), -i))
    chosen = [first]
    while len(chosen) < min(count, len(vectors)):
        rest = [i for i in rows if i not in chosen]
        chosen.append(
            max(rest, key=lambda i: (peaks[i] * min(1 - vectors[i] @ vectors[j] for j in chosen), -i))
        )
    return chosen


@pytest.mark.parametrize("seed", range(5))
def test_the_rule_is_the_one_that_is_stated(seed):
    rng = np.random.default_rng(seed)
    vectors = rng.normal(size=(12, 4))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    peaks = rng.uniform(1, 2, 12)
    assert spread(vectors, peaks, 5) == slow_choice(vectors, peaks, 5)
    assert sorted(spread(vectors, peaks, 99)) == list(range(12))


def test_scenes_are_each_shown_once():
    """Three scenes of several slices each: the first three choices are one of each."""
    rng = np.random.default_rng(0)
    scene = np.repeat(np.eye(3), [5, 3, 2], axis=0)
    vectors = scene + 0.01 * rng.normal(size=scene.shape)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    chosen = spread(vectors.astype(np.float32), np.ones(10, np.float32), 3)
    assert set(np.argmax(vectors[chosen], axis=1)) == {0, 1, 2}


def test_choices_are_told_in_order_of_time_and_joined_where_they_touch():
    times = np.arange(4)[:, None] + (np.arange(8) + 0.5) / 8
    weights = np.full((4, 8), 0.1, np.float32)
    weights[:, 2] = 0.3
    weights[3] = [0.7, 0.3, 0, 0, 0, 0, 0, 0]  # only two frames are there
    vectors = np.eye(4, dtype=np.float32)
    starts, ends = np.arange(4.0), np.array([1.0, 2.0, 3.0, 3.25])
    found = Explanation(Path("v"), starts, ends, np.array([8, 8, 8, 2]), times, weights, vectors, "f")
    summary = choose(found, 4)
    assert [frame.start_s for frame in summary.keyframes] == [0, 1, 2, 3]
    assert [frame.time_s for frame in summary.keyframes[:3]] == [0.3125, 1.3125, 2.3125]
    assert summary.keyframes[3].end_s == 3.25
    assert summary.keyframes[3].peak == pytest.approx(1.4)  # of two frames, not of eight
    assert summary.highlights == ((0.0, 3.25),)
    one = choose(found, 1)
    assert one.keyframes[0].rank == 0
    assert len(one.highlights) == 1


def test_a_film_shows_the_spans_after_each_other(tmp_path, write_video, grey_ramp):
    sound = (
        0.3 * np.sin(np.arange(4 * RATE) * 2 * np.pi * (300 + 0.02 * np.arange(4 * RATE)) / RATE)
    ).astype(np.float32)
    path = write_video(tmp_path / "ramp.mp4", grey_ramp(np.arange(100) / 25), sound=sound)
    write_highlight(path, [(0.5, 1.0), (3.0, 3.6)], tmp_path / "film.mp4")
    made = inspect(tmp_path / "film.mp4")
    assert made.duration_s == pytest.approx(1.1, abs=0.05)
    frames = open_video(tmp_path / "film.mp4", (64, 64))
    grey = frames.frames(np.arange(len(frames.times))).mean((1, 2, 3))
    expected = np.where(frames.times < 0.5 - 1e-6, frames.times + 0.5, frames.times + 2.5)
    np.testing.assert_allclose((grey - 20) / 50, expected, atol=0.08)
    has_audio = read_sound(tmp_path / "film.mp4", made.origin_s, np.array([0.1, 0.6]), 0.3)
    original = read_sound(path, inspect(path).origin_s, np.array([0.6, 3.1]), 0.3)
    assert has_audio.has_audio.all()
    for ours, theirs in zip(has_audio.samples / 2**15, original.samples / 2**15, strict=True):
        pitch, other = (np.abs(np.fft.rfft(wave)).argmax() for wave in (ours, theirs))
        assert abs(pitch - other) <= 3


def test_a_film_keeps_uneven_times_and_lasts_as_long_as_its_spans(tmp_path, write_video, grey_ramp):
    pts = np.array([0, 5, 7, 19, 429, 463, 900, 1700])
    path = write_video(
        tmp_path / "ramp.mp4", grey_ramp(pts / 1000), pts=pts.tolist(), time_base=Fraction(1, 1000)
    )
    write_highlight(path, [(0.0, 0.5), (0.8, 1.5)], tmp_path / "film.mp4")
    made = inspect(tmp_path / "film.mp4")
    np.testing.assert_allclose(made.times, [0, 0.005, 0.007, 0.019, 0.429, 0.463, 0.5, 0.6], atol=1e-3)
    assert made.duration_s == pytest.approx(1.2, abs=1e-3)
    with av.open(tmp_path / "film.mp4") as container:
        assert container.duration / av.time_base == pytest.approx(1.2, abs=1e-3)


def test_a_film_of_a_silent_video_has_no_sound(tmp_path, write_video, grey_ramp):
    path = write_video(tmp_path / "ramp.mp4", grey_ramp(np.arange(50) / 25))
    write_highlight(path, [(0.0, 1.0)], tmp_path / "film.mp4")
    with av.open(tmp_path / "film.mp4") as container:
        assert not container.streams.audio


def test_a_sheet_shows_the_moments(tmp_path, write_video, grey_ramp):
    path = write_video(tmp_path / "ramp.mp4", grey_ramp(np.arange(100) / 25))
    draw_contact_sheet(path, [0.1, 1.0, 2.0, 3.0, 3.9], tmp_path / "sheet.png")
    picture = np.asarray(Image.open(tmp_path / "sheet.png").convert("L"))
    levels = {round(float(level)) for level in np.unique(picture)}
    for moment in (0.1, 1.0, 2.0, 3.0):
        assert any(abs(level - (20 + 50 * moment)) <= 4 for level in levels)


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        ({"keyframes": 2, "seconds": 3}, "give one of them"),
        ({"keyframes": 0}, "must be above 0"),
        ({"seconds": -1.0}, "must be above 0"),
    ],
)
def test_a_wrong_number_is_refused(videos, tiny_run, tmp_path, choice, message):
    with pytest.raises(ConfigError, match=message):
        summarize_video(videos / "even/clip 0.mp4", tiny_run.path, tmp_path / "s", **choice)
    assert not (tmp_path / "s").exists()


@pytest.mark.parametrize("choice", [{}, {"keyframes": 99}, {"seconds": 1.5}, {"keyframes": 1}])
def test_as_much_is_chosen_as_there_is_and_was_asked_for(videos, tiny_run, tmp_path, choice):
    summary = summarize_video(videos / "odd/clip 7.mp4", tiny_run.path, tmp_path / "s", **choice)
    slices = 3  # of 1 s, the last one ends with the video
    assert (
        len(summary.keyframes)
        == {"keyframes": min(slices, choice.get("keyframes", 8)), "seconds": 2}[
            "seconds" if "seconds" in choice else "keyframes"
        ]
    )
    assert sorted(path.name for path in (tmp_path / "s").iterdir()) == [
        "contact.png",
        "highlight.mp4",
        "summary.json",
    ]
