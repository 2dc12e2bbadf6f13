import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from sora_video.index.search.align import STEPS, align, best_path

RATE = 40
"""Moments of a made-up film a second."""


def film(seed, seconds, dim=32):
    """A film as what each moment shows: unit vectors that change within half a second."""
    rng = np.random.default_rng(seed)
    noise = rng.normal(size=(round(seconds * RATE) + RATE, dim))
    smooth = np.hanning(RATE // 2)
    shown = np.stack([np.convolve(column, smooth, "valid") for column in noise.T], axis=1)[
        : round(seconds * RATE)
    ]
    return shown / np.linalg.norm(shown, axis=1, keepdims=True)


def part(shown, start_s, end_s, speed=1.0):
    """A cut of a film, played at another speed."""
    moments = start_s + np.arange(0, (end_s - start_s) / speed, 1 / RATE) * speed
    return shown[np.clip((moments * RATE).astype(int), 0, len(shown) - 1)]


def sliced(shown, hop=1.0):
    """Vectors, starts and ends of slices of a second; a slice is the mean of what it shows."""
    last = len(shown) / RATE - 1
    starts = np.arange(0, last + 1e-9, hop)
    starts = np.append(starts, last) if last - starts[-1] > 1e-6 else starts
    firsts = np.round(starts * RATE).astype(int)
    vectors = np.stack([shown[first : first + RATE].mean(0) for first in firsts])
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32), starts, starts + 1


def aligned(query, video, hop=1.0, least=0.5):
    vectors, *query_times = sliced(query, hop)
    others, *times = sliced(video, hop)
    return align(vectors @ others.T, *query_times, *times, least)


def overlap(span, start_s, end_s):
    shared = min(span.end_s, end_s) - max(span.start_s, start_s)
    return shared / (max(span.end_s, end_s) - min(span.start_s, start_s))


@pytest.mark.parametrize("speed", [0.5, 0.8, 1.0, 1.25, 2.0])
@pytest.mark.parametrize("hop", [0.5, 1.0])
def test_an_excerpt_at_any_speed_is_found_in_its_place(speed, hop):
    errors, speeds = [], []
    for seed in range(10):
        video, length = film(seed, 40), 8 * speed
        start_s = np.random.default_rng(seed).uniform(0, 40 - length)
        found = aligned(part(video, start_s, start_s + length, speed), video, hop)[0]
        errors += [abs(found.start_s - start_s), abs(found.end_s - start_s - length)]
        speeds.append(found.speed)
        assert found.query_end_s - found.query_start_s > 8 - 2.1 * hop  # an outermost slice may be lost
    assert np.median(errors) < (0.3 if speed in (0.5, 2.0) else 0.15)
    assert np.mean(speeds) == pytest.approx(speed, rel=0.1)  # drawn to 1 a little


def test_times_are_finer_than_slices():
    """Planted at each of ten phases of the slices, the excerpt is placed to a fraction of one."""
    video = film(0, 30)
    errors = [
        abs(aligned(part(video, start_s, start_s + 6), video)[0].start_s - start_s)
        for start_s in 10 + np.arange(10) / 10
    ]
    assert np.median(errors) < 0.1
    assert max(errors) < 1.1  # of a slice: where the first one lies between two, it may be lost


@pytest.mark.parametrize("hop", [0.5, 1.0])
def test_an_excerpt_within_other_film_ends_where_it_ends(hop):
    errors = []
    for seed in range(20):
        before, video, after = (film([seed, number], 20) for number in range(3))
        lead = np.random.default_rng(seed).uniform(3, 5)
        query = np.concatenate([part(before, 0, lead), part(video, 5.2, 12.9), part(after, 0, 4)])
        found = aligned(query, video, hop)[0]
        errors += [found.query_start_s - lead, lead + 7.7 - found.query_end_s]
        assert overlap(found, 5.2, 12.9) > 0.75
    assert abs(np.mean(errors)) < 0.2 * hop  # neither too long nor too short
    assert np.mean(np.abs(errors)) < 0.4 * hop


def test_two_parts_in_another_order_are_both_found():
    video, other = film(1, 40), film(2, 3)
    query = np.concatenate([part(video, 25, 31), other, part(video, 4, 10)])
    first, second = sorted(aligned(query, video), key=lambda span: span.query_start_s)[:2]
    assert overlap(first, 25, 31) > 0.8
    assert overlap(second, 4, 10) > 0.8
    assert first.query_end_s < second.query_start_s


def test_a_part_that_is_repeated_is_found_each_time():
    scene = film(3, 6)
    video = np.concatenate([film(4, 5), scene, film(5, 7), scene, film(6, 5)])
    spans = sorted(aligned(scene, video), key=lambda span: span.start_s)
    assert len(spans) == 2
    assert overlap(spans[0], 5, 11) > 0.8
    assert overlap(spans[1], 18, 24) > 0.8
    assert all(span.query_end_s - span.query_start_s > 5 for span in spans)


def test_other_film_is_not_found():
    assert aligned(film(7, 10), film(8, 60), least=0.7) == []


def test_a_video_is_itself_from_end_to_end():
    video = film(9, 20.4)
    (span,) = aligned(video, video)
    assert (span.query_start_s, span.start_s) == pytest.approx((0, 0), abs=0.05)
    assert (span.query_end_s, span.end_s) == pytest.approx((20.4, 20.4), abs=0.05)
    assert (span.likeness, span.speed) == pytest.approx((1, 1), abs=0.01)


@pytest.mark.parametrize(("queries", "slices"), [(1, 1), (1, 5), (5, 1)])
def test_one_slice_alone_may_match(queries, slices):
    similarity = np.zeros((queries, slices), np.float32)
    similarity[-1, -1] = 1
    starts = np.arange(5.0)
    times = (starts[:queries], starts[:queries] + 1, starts[:slices], starts[:slices] + 1)
    (span,) = align(similarity, *times, 0.5)
    assert (span.query_start_s, span.query_end_s) == (queries - 1, queries)
    assert (span.start_s, span.end_s, span.likeness, span.speed) == (slices - 1, slices, 1, 1)


def every_path(shape, cell):
    """All paths that end in a cell."""
    yield [cell]
    for down, right in STEPS:
        before = (cell[0] - down, cell[1] - right)
        if min(before) >= 0:
            yield from ([*path, cell] for path in every_path(shape, before))


MATRICES = arrays(
    np.float64,
    st.tuples(st.integers(1, 6), st.integers(1, 6)),
    elements=st.integers(-8, 8).map(lambda eighths: eighths / 8),
)


@settings(deadline=None)
@given(MATRICES)
def test_the_best_path_is_the_best_of_all(gains):
    paths = [path for cell in np.ndindex(*gains.shape) for path in every_path(gains.shape, cell)]
    total, path = best_path(gains)
    assert total == max(sum(gains[cell] for cell in one) for one in paths)
    assert total == gains[tuple(path.T)].sum()
    assert [tuple(cell) for cell in path.tolist()] in paths


@settings(deadline=None)
@given(MATRICES, st.integers(-8, 8).map(lambda eighths: eighths / 8))
def test_spans_keep_their_promises(similarity, least):
    query, times = np.arange(similarity.shape[0] * 1.0), np.arange(similarity.shape[1] * 1.0)
    spans = align(similarity.astype(np.float32), query, query + 1, times, times + 1, least)
    for span in spans:
        assert least < span.likeness <= similarity.max()
        assert 0.5 <= span.speed <= 2
        assert 0 <= span.start_s < span.end_s <= times[-1] + 1
        assert 0 <= span.query_start_s < span.query_end_s <= query[-1] + 1
        assert span.end_s - span.start_s == pytest.approx(
            span.speed * (span.query_end_s - span.query_start_s)
        )
    if similarity.max() <= least:
        assert not spans


@settings(deadline=None)
@given(MATRICES)
def test_query_and_video_may_change_places(gains):
    assert best_path(gains)[0] == best_path(gains.T.copy())[0]
