import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sora_video.index.library import Library
from sora_video.index.localize import localize
from sora_video.index.query import Query
from sora_video.index.search.moments import Moment, find_moments, match_level


def moments(scores, least, hop=1.0, length=1.0):
    starts = np.arange(len(scores)) * hop
    return find_moments(np.array(scores, np.float32), starts, starts + length, least)


def test_slices_side_by_side_merge():
    found = moments([0.25, 0.25, 0.875, 0.75, 0.25, 0.25, 0.625, 0.25], 0.6)
    assert found == [Moment(2, 4, 0.875), Moment(6, 7, 0.625)]


def test_overlapping_slices_merge_and_the_last_one_may_begin_anywhere():
    starts = np.array([0, 0.5, 1.0, 1.2])
    found = find_moments(np.array([1, 0, 0.9, 1], np.float32), starts, starts + 1, 0.5)
    assert found == [Moment(0, 2.2, 1.0)]  # 0 to 1 touches 1.0 to 2.0


def test_slices_in_any_order_give_the_same_moments():
    scores, starts = np.array([0.9, 0.1, 0.8, 0.7], np.float32), np.arange(4.0)
    order = [2, 0, 3, 1]
    assert find_moments(scores[order], starts[order], starts[order] + 1, 0.5) == find_moments(
        scores, starts, starts + 1, 0.5
    )


def test_where_nothing_matches_the_best_slice_is_told():
    assert moments([0.125, 0.25, 0.125], 0.9) == [Moment(1, 2, 0.25)]


def test_what_matches_lies_three_tenths_of_the_way_from_the_median_to_the_best():
    assert match_level([np.array([[0.2, 0.2, 1.0]], np.float32), np.full((1, 4), 0.2, np.float32)]) == (
        pytest.approx(0.44)
    )


@given(st.lists(st.integers(0, 8), min_size=1, max_size=30), st.integers(0, 9))
def test_moments_are_the_runs_of_matching_slices(eighths, least):
    """Reference: slices one by one."""
    scores, runs = [eighth / 8 for eighth in eighths], []
    for number, score in enumerate(scores):
        if score < min(least / 8, max(scores)):
            continue
        if runs and runs[-1][-1] == number - 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    wanted = {(run[0], run[-1] + 1, max(scores[number] for number in run)) for run in runs}
    found = moments(scores, least / 8)
    assert {(moment.start_s, moment.end_s, moment.likeness) for moment in found} == wanted
    assert found[0].likeness == max(scores)
    assert [moment.likeness for moment in found] == sorted(
        (moment.likeness for moment in found), reverse=True
    )


@pytest.fixture
def library(tmp_path, make_embeddings, random_vectors):
    """Three videos; what one shows from second 10 to 14 another shows twice."""
    held = {f"{number}.mp4": random_vectors(number, 30, 256) for number in range(3)}
    held["1.mp4"][4:8] = held["1.mp4"][20:24] = held["0.mp4"][10:14]
    opened = Library.create(tmp_path / "library", "f" * 64, 256)
    opened.add(seconds(make_embeddings(held)))
    return opened


def seconds(embeddings):
    """The same slices, each of one second."""
    embeddings.end_s[:] = embeddings.start_s + 1
    return embeddings


def test_a_hit_tells_all_its_moments_and_which_part_of_the_query_they_are(library):
    query = library.embeddings("0.mp4").select(np.arange(8, 16))
    hits = localize(library, Query(query, top=3))
    assert [hit.video_id for hit in hits][:2] == ["0.mp4", "1.mp4"]
    assert [(one.start_s, one.end_s) for one in hits[0].moments] == [(8, 16)]
    assert sorted((one.start_s, one.end_s) for one in hits[1].moments) == [(4, 8), (20, 24)]
    aligned = sorted(hits[1].aligned, key=lambda one: one.start_s)
    spans = [(one.query_start_s, one.query_end_s, one.start_s, one.end_s) for one in aligned]
    assert np.array(spans) == pytest.approx(np.array([(10, 14, 4, 8), (10, 14, 20, 24)]), abs=0.2)
    assert [one.speed for one in hits[1].aligned] == pytest.approx([1, 1], abs=0.05)
    assert hits[2].aligned == ()


def test_a_query_of_one_slice_has_moments_alone(library):
    query = library.embeddings("0.mp4").select([11])
    first, second = localize(library, Query(query, top=2))
    assert first.aligned == second.aligned == ()
    assert [(one.start_s, one.end_s) for one in first.moments] == [(11, 12)]
    assert sorted((one.start_s, one.end_s) for one in second.moments) == [(5, 6), (21, 22)]
