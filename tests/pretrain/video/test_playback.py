"""Slices that play faster or backwards, against every frame of the file as PyAV decodes it from the start."""

import av
import numpy as np
import pytest

from sora_video.pretrain.video.cache import FrameCache
from sora_video.pretrain.video.inspect import inspect
from sora_video.pretrain.video.picture import Picture
from sora_video.pretrain.video.pyav_frames import PyAVFrames
from sora_video.pretrain.video.reader import Draw, Grid, Span, drawn_slices, read_slices
from sora_video.pretrain.video.slices import Playback, cells_shown, draw_playback

GRID = Grid(8, 8.0, Picture(32), has_audio=False)


def decoded(path):
    """Times in seconds and pictures of all frames, in the order of the file."""
    with av.open(path) as container:
        frames = [
            (frame.time, frame.to_ndarray(format="rgb24", width=32, height=32, interpolation="BICUBIC"))
            for frame in container.decode(video=0)
        ]
    times, pictures = zip(*frames, strict=True)
    return np.array(times) - times[0], np.stack(pictures)


def expected(path, start_s, rate, backwards, end_s):
    """The 8 pictures of a slice, and how many are before the video's end, moment by moment."""
    times, pictures = decoded(path)
    moments = [start_s + rate * (cell + 0.5) / 8 for cell in range(8)]
    before = [moment for moment in moments if moment < end_s]
    held = before[0] if backwards else end_s - 1e-3
    played = [*(reversed(before) if backwards else before), *[held] * (8 - len(before))]
    shown = [max(number for number, time in enumerate(times) if time <= moment + 1e-6) for moment in played]
    return pictures[shown], len(before)


@pytest.fixture(scope="module")
def ramp(tmp_path_factory, write_video, grey_ramp):
    """Five seconds that brighten by a level a frame."""
    return write_video(tmp_path_factory.mktemp("ramp") / "ramp.mp4", grey_ramp(np.arange(125) / 50))


def assert_shown(path, slices, starts, playback, end_s):
    for number, start_s in enumerate(starts):
        rate, backwards = int(playback.rates[number]), bool(playback.backwards[number])
        pictures, length = expected(path, start_s, rate, backwards, end_s)
        assert slices.lengths[number] == length
        np.testing.assert_array_equal(slices.frames[number], pictures)


def test_rates_show_the_frames_of_their_times(ramp):
    duration_s = inspect(ramp).duration_s
    rates = np.array([1, 2, 4, 1, 2, 4])
    starts = np.concatenate([[0.3, 0.7, 0.9], duration_s - rates[3:]])  # the last three end with the video
    for backwards in (False, True):
        playback = Playback(rates, np.full(6, backwards))
        slices = read_slices(
            ramp, PyAVFrames(ramp, inspect(ramp), GRID.picture), starts, duration_s, GRID, playback
        )
        assert slices.lengths.tolist() == [8] * 6
        assert_shown(ramp, slices, starts, playback, duration_s)
    np.testing.assert_allclose(
        np.diff(slices.frames.mean((2, 3, 4)), axis=1).mean(1), -rates * 25 / 8, atol=0.4
    )


@pytest.mark.parametrize("backwards", [False, True])
def test_past_the_end_of_a_short_part_its_end_is_held_and_backwards_its_start(ramp, backwards):
    starts, playback = np.array([1.0, 1.0]), Playback(np.array([1, 2]), np.full(2, backwards))
    slices = read_slices(ramp, PyAVFrames(ramp, inspect(ramp), GRID.picture), starts, 1.6, GRID, playback)
    assert slices.lengths.tolist() == [5, 2]
    assert_shown(ramp, slices, starts, playback, 1.6)


@pytest.mark.parametrize("cached", [False, True])
def test_drawn_slices_play_as_drawn_and_within_their_part(ramp, tmp_path, cached):
    cache = FrameCache(tmp_path / "cache", 10**9 if cached else 0, GRID.picture)
    draw, seen = Draw(3, 36.0, 0.0, (1, 2, 4), 0.5), set()
    for sample in range(30):
        slices, playback = drawn_slices(Span(ramp, 0.5, 3.0), GRID, draw, (0, "sample", 0, sample), cache)
        seen |= set(zip(playback.rates.tolist(), playback.backwards.tolist(), strict=True))
        assert slices.lengths.tolist() == [8] * 3
        means = slices.frames.mean((2, 3, 4))
        assert 20 + 25 * 0.5 - 2 < means.min() <= means.max() < 20 + 25 * 3.0 + 2
        steps = np.diff(means, axis=1).mean(1)
        np.testing.assert_allclose(
            steps, np.where(playback.backwards, -1, 1) * playback.rates * 25 / 8, atol=0.4
        )
    assert seen == {
        (1, False),
        (1, True),
        (2, False),
        (2, True),
    }  # four times faster takes 4 of the 2.5 seconds


def test_a_video_shorter_than_a_slice_plays_as_fast_as_it_is():
    for duration_s, rates in [(0.4, {1}), (1.0, {1}), (1.99, {1}), (2.0, {1, 2}), (9.0, {1, 2, 4})]:
        drawn = [draw_playback((number,), duration_s, 1.0, 4, (1, 2, 4), 0.0) for number in range(30)]
        assert {rate for playback in drawn for rate in playback.rates.tolist()} == rates
        assert not any(playback.backwards.any() for playback in drawn)


def test_what_is_drawn_of_a_slice_depends_on_its_key_and_number_alone():
    few, many = (draw_playback((3, "time"), 9.0, 1.0, count, (1, 2, 4), 0.5) for count in (2, 5))
    np.testing.assert_array_equal(many.fields[:2], few.fields)
    assert (
        len({draw_playback((key,), 9.0, 1.0, 4, (1, 2, 4), 0.5).fields.tobytes() for key in range(20)}) > 15
    )


def test_cells_backwards_are_a_flip_of_those_that_are_there():
    lengths = np.array([1, 4, 6])
    shown = cells_shown(lengths, 6, np.array([True, True, False]))
    assert shown.tolist() == [[0] * 6, [3, 2, 1, 0, 0, 0], [0, 1, 2, 3, 4, 5]]
