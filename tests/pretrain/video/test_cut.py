"""Spans of films as films of their own: the same pictures and sound at the same times."""

import numpy as np
import pytest

from sora_video.base.errors import VideoError
from sora_video.pretrain.video.inspect import inspect
from sora_video.pretrain.video.pictures import pictures_at
from sora_video.pretrain.video.prepare.cut import Cut, cut_file
from sora_video.pretrain.video.prepare.picture import Settings
from sora_video.pretrain.video.sound import RATE, read_sound


@pytest.fixture
def ramp(write_video, grey_ramp, tmp_path):
    """A function that writes 4 seconds whose brightness tells the time, and a tone in the third one alone."""

    def write(pts=None, **more):
        times = np.arange(100) / 25 if pts is None else np.array(pts) / 25
        wave = np.zeros(4 * RATE, np.float32)
        wave[2 * RATE : 3 * RATE] = 0.5 * np.sin(np.arange(RATE) * 2 * np.pi * 440 / RATE)
        return write_video(tmp_path / "ramp.mp4", grey_ramp(times), pts=pts, sound=wave, **more)

    return write


def cut(source, span, **settings):
    """The film of a span."""
    target = source.with_name("cut.mp4")
    list(cut_file(Cut(source, target, *span, Settings(size=48, **settings), None)))
    return target


@pytest.mark.parametrize("span", [(0.0, 1.0), (1.02, 2.5), (3.5, 9.0)])
def test_pictures_keep_their_times(ramp, span):
    film = cut(ramp(), span, fps=60)
    end_s = min(span[1], 4)
    assert inspect(film).duration_s == pytest.approx(end_s - span[0], abs=0.002)
    moments = np.linspace(0.01, end_s - span[0] - 0.05, 7)
    shown = pictures_at(film, 48, moments).mean(axis=(1, 2, 3))
    np.testing.assert_allclose(shown, 20 + 50 * np.floor((span[0] + moments) * 25 + 1e-6) / 25, atol=3)


def test_uneven_times_and_few_frames_a_second_are_kept(ramp):
    stamps = [0, 3, 4, 10, 30, 33, 60, 99]
    film = cut(ramp(pts=stamps), (0.5, 3.0), fps=5)
    times = inspect(film).times
    assert times[0] == 0
    assert set(np.round((times[1:] + 0.5) * 25).astype(int)) <= set(stamps)
    assert len(times) <= 13


def test_sound_comes_with_its_span(ramp):
    film = cut(ramp(), (1.5, 3.5), fps=25)
    info = inspect(film)
    sound = read_sound(film, info.origin_s, np.array([0.0, 0.6, 1.6]), 0.3)
    assert sound.has_audio.tolist() == [False, True, False]


def test_a_span_behind_the_end_is_refused(ramp):
    with pytest.raises(VideoError, match="nothing lies at 5"):
        cut(ramp(), (5.0, 6.0))
