import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import kstest

from sora_video.base.randomness import generator
from sora_video.pretrain.video.slices import cell_times, draw_starts, frames_at, slice_starts

seconds = st.floats(0.01, 300)


@given(seconds, st.floats(0.1, 10), st.floats(0.1, 10))
def test_slices_begin_at_the_start_and_end_at_the_end(duration_s, length_s, hop_s):
    starts = slice_starts(duration_s, length_s, hop_s)
    assert starts[0] == 0
    assert (starts >= 0).all()
    assert (np.diff(starts) > 0).all()
    assert (np.diff(starts) <= hop_s + 1e-9).all()
    if duration_s <= length_s:
        assert len(starts) == 1
    else:
        assert abs(starts[-1] + length_s - duration_s) <= 1e-5


@given(seconds, st.floats(0.1, 10), st.floats(0.05, 1))
def test_every_moment_lies_in_a_slice_when_slices_touch_or_overlap(duration_s, length_s, share):
    starts = slice_starts(duration_s, length_s, share * length_s)
    moments = np.linspace(0, duration_s, 200, endpoint=False)
    covered = (moments[:, None] >= starts - 1e-6) & (moments[:, None] < starts + length_s + 1e-6)
    assert covered.any(1).all()


def test_slices_that_fit_exactly_get_no_extra_one():
    np.testing.assert_allclose(slice_starts(3.0, 1.0, 1.0), [0, 1, 2])
    np.testing.assert_allclose(slice_starts(0.3, 0.1, 0.1), [0, 0.1, 0.2])
    np.testing.assert_allclose(slice_starts(3.4, 1.0, 1.0), [0, 1, 2, 2.4])


def on_screen(times, moment):
    """What a player shows: walk the frames and stop before the first that is still to come."""
    shown = 0
    for number, time in enumerate(times):
        if time <= moment + 1e-6:
            shown = number
    return shown


@given(
    st.lists(st.integers(1, 200), min_size=1, max_size=40),
    st.lists(st.floats(0, 10), min_size=1, max_size=20),
)
def test_the_frame_at_a_moment_is_the_one_a_player_shows(gaps, moments):
    times = (np.cumsum(gaps) - gaps[0]) / 30
    found = frames_at(times, np.array(moments))
    assert found.tolist() == [on_screen(times, moment) for moment in moments]


def test_a_moment_before_the_first_frame_shows_the_first():
    assert frames_at(np.array([0.5, 1.0]), np.array([[0.0], [0.7], [9.0]])).tolist() == [[0], [0], [1]]


@given(
    st.integers(0, 2**32), seconds, st.floats(0.1, 10), st.integers(2, 8), st.floats(0, 50), st.floats(0, 9)
)
def test_drawn_starts_stay_in_the_video_and_near_the_first(
    seed, duration_s, length_s, count, gap_s, gap_power
):
    starts = draw_starts(generator(seed), duration_s, length_s, count, gap_s, gap_power)
    assert starts.shape == (count,)
    assert (starts >= 0).all()
    assert (starts <= max(0, duration_s - length_s)).all()
    assert (np.abs(starts - starts[0]) <= gap_s + 1e-9).all()


def test_drawn_starts_reach_over_the_whole_video():
    first = [draw_starts(generator(seed), 11.0, 1.0, 2, 3.0)[0] for seed in range(2000)]
    share, _ = np.histogram(first, bins=10, range=(0, 10))
    assert share.min() > 140
    assert share.max() < 260


@pytest.mark.parametrize("power", [0.0, 1.0, 3.0])
def test_gaps_have_the_stated_density(power):
    drawn = [draw_starts(generator(seed), 1001.0, 1.0, 2, 10.0, power) for seed in range(3000)]
    inner = np.array([starts for starts in drawn if 10 < starts[0] < 990])
    gaps = inner[:, 1] - inner[:, 0]
    assert kstest(np.abs(gaps), lambda gap: 1 - (1 - gap / 10) ** (power + 1)).pvalue > 0.01
    assert kstest(gaps, -gaps).pvalue > 0.01


def test_near_an_end_the_density_is_that_of_the_gaps_with_room():
    rng = generator("room")
    drawn = np.array([draw_starts(rng, 5.0, 1.0, 2, 4.0, 1.0) for _ in range(4000)])
    early = drawn[drawn[:, 0] < 0.5]
    forward = np.mean(early[:, 1] > early[:, 0])
    before, after = early[:, 0], 4 - early[:, 0]
    mass_before, mass_after = (1 - (1 - room / 4) ** 2 for room in (before, after))
    assert forward == pytest.approx(np.mean(mass_after / (mass_before + mass_after)), abs=0.04)


def test_cell_times_are_the_middles():
    np.testing.assert_allclose(cell_times(np.array([0.0, 2.0]), 2, 4.0), [[0.125, 0.375], [2.125, 2.375]])
