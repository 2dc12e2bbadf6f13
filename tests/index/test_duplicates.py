import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sora_video.base.errors import LibraryError
from sora_video.index.duplicates import Pair, find_duplicates, group, neighbours
from sora_video.index.library import Library
from sora_video.pretrain.encoders.embeddings import Embeddings


@pytest.fixture
def held(random_vectors, normed):
    """Ten videos of which three, and another two, share most of what they show."""
    videos = {f"{number}.mp4": random_vectors(number, 20, 32) for number in range(10)}
    videos["copy of 0.mp4"] = normed(videos["0.mp4"] + 0.01 * random_vectors(50, 20, 32))
    videos["cut of 0.mp4"] = videos["0.mp4"][5:15]
    videos["quick 1.mp4"] = videos["1.mp4"][np.arange(0, 20, 2)]
    videos["a moment of 2.mp4"] = np.concatenate([random_vectors(60, 18, 32), videos["2.mp4"][4:6]])
    return videos


def test_groups_of_near_duplicates_are_found(make_library, held):
    first, second = find_duplicates(make_library(held))
    assert first.videos == ("0.mp4", "copy of 0.mp4", "cut of 0.mp4")
    assert second.videos == ("1.mp4", "quick 1.mp4")
    spans = {(pair.query_id, pair.video_id): pair.spans[0] for pair in first.pairs}
    assert len(spans) == 3
    cut = spans["0.mp4", "cut of 0.mp4"]
    found = (cut.query_start_s, cut.query_end_s, cut.start_s, cut.end_s, cut.speed)
    assert found == pytest.approx((5, 15, 0, 10, 1), abs=0.15)
    assert second.pairs[0].spans[0].speed == pytest.approx(0.5, abs=0.05)
    assert all(pair.cover > 0.9 for pair in (*first.pairs, *second.pairs))


def test_a_smaller_part_is_enough_where_that_is_asked_for(make_library, held):
    groups = find_duplicates(make_library(held), cover=0.09)
    assert ("2.mp4", "a moment of 2.mp4") in [one.videos for one in groups]


def test_copies_are_told_from_videos_that_are_like_all(make_library, random_vectors, normed):
    """All are close to one common picture: by cosines everything is a duplicate of everything."""
    common = random_vectors(99, 1, 32)
    held = {f"{number}.mp4": normed(common + 0.25 * random_vectors(number, 12, 32)) for number in range(8)}
    held["copy.mp4"] = normed(held["3.mp4"] + 0.01 * random_vectors(70, 12, 32))
    assert (held["0.mp4"] @ held["5.mp4"].T).min() > 0.9
    library = make_library(held)
    assert [one.videos for one in find_duplicates(library)] == [("3.mp4", "copy.mp4")]
    assert [one.videos for one in find_duplicates(library, normalize=False)] == [("3.mp4", "copy.mp4")]


def test_normalising_tells_copies_from_film_of_the_same_places(make_library, random_vectors, normed):
    """Ten places, each filmed by 15 videos."""
    held = {
        f"place {place} take {take:02d}.mp4": normed(
            random_vectors(place, 6, 64) + 0.7 * random_vectors(1000 + 100 * place + take, 6, 64)
        )
        for place in range(10)
        for take in range(15)
    }
    held["copy.mp4"] = normed(held["place 3 take 07.mp4"] + 0.05 * random_vectors(70, 6, 64))
    library = make_library(held)
    assert len(find_duplicates(library, normalize=False)) == 10
    assert [one.videos for one in find_duplicates(library)] == [("copy.mp4", "place 3 take 07.mp4")]


def test_any_number_of_copies_is_told(make_library, random_vectors):
    film = random_vectors(0, 6, 32)
    held = {f"{number}.mp4": random_vectors(number, 6, 32) for number in range(1, 5)}
    held |= {f"copy {number:02d}.mp4": film for number in range(25)}
    (together,) = find_duplicates(make_library(held))
    assert together.videos == tuple(f"copy {number:02d}.mp4" for number in range(25))


def test_two_videos_are_duplicates_if_they_are_all_but_identical(make_library, random_vectors):
    film = random_vectors(0, 6, 32)
    library = make_library({"0.mp4": film, "copy.mp4": film})
    assert [one.videos for one in find_duplicates(library)] == [("0.mp4", "copy.mp4")]


def test_a_library_of_one_video_or_none_has_no_duplicates(make_library, random_vectors):
    library = make_library({"0.mp4": random_vectors(0, 5, 8)})
    assert find_duplicates(library) == find_duplicates(library, normalize=False) == []
    library.remove("0.mp4")
    assert find_duplicates(library) == []


@pytest.mark.parametrize("wrong", [{"cover": 0}, {"cover": 1.5}, {"threshold": 2}, {"threshold": np.nan}])
def test_what_is_out_of_range_is_refused(make_library, random_vectors, wrong):
    with pytest.raises(LibraryError, match=rf"{next(iter(wrong))}=.*; it is a"):
        find_duplicates(make_library({"0.mp4": random_vectors(0, 5, 8)}), **wrong)


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)).filter(lambda pair: pair[0] != pair[1])))
def test_groups_are_what_pairs_connect(edges):
    """Reference: the reach of a matrix of neighbours."""
    near = np.eye(10, dtype=bool)
    for first, second in edges:
        near[first, second] = near[second, first] = True
    reach = np.linalg.matrix_power(near.astype(float), 10) > 0
    wanted = {tuple(str(name) for name in np.flatnonzero(row)) for row in reach if row.sum() > 1}
    pairs = [Pair(query_id=str(a), video_id=str(b), likeness=1.0, cover=1.0, spans=()) for a, b in edges]
    groups = group(pairs)
    assert {one.videos for one in groups} == wanted
    assert len(groups) == len(wanted)
    assert sum(len(one.pairs) for one in groups) == len(pairs)


@pytest.mark.parametrize("others", [0, 1, 2, 3])
def test_a_copy_is_found_in_a_library_of_few_videos(make_library, random_vectors, normed, others):
    """A copy need not be identical, though hardly anything is there to compare it with."""
    original = random_vectors(0, 20, 32)
    held = {f"other {number}.mp4": random_vectors(number + 1, 20, 32) for number in range(others)}
    held |= {"a.mp4": original, "b.mp4": normed(original + 0.4 * random_vectors(50, 20, 32))}
    assert [found.videos for found in find_duplicates(make_library(held))] == [("a.mp4", "b.mp4")]


def test_embeddings_without_times_are_compared_slice_by_slice(tmp_path, random_vectors, normed):
    vectors = {f"{number}.mp4": random_vectors(number, 4, 32) for number in range(8)}
    vectors["copy.mp4"] = normed(vectors["3.mp4"][:3] + 0.05 * random_vectors(70, 3, 32))
    library = Library.create(tmp_path / "library", "f" * 64, 32)
    for name, rows in vectors.items():
        embeddings = Embeddings(
            video_id=np.full(len(rows), name, object),
            slice_no=np.arange(len(rows), dtype=np.int32),
            start_s=np.zeros(len(rows)),
            end_s=np.zeros(len(rows)),
            vectors=rows,
            fingerprint="f" * 64,
        )
        library.add(embeddings)
    (found,) = find_duplicates(library)
    assert found.videos == ("3.mp4", "copy.mp4")
    assert (found.pairs[0].cover, found.pairs[0].spans) == (1.0, ())


def test_likeness_is_that_of_a_plain_loop(make_library, held):
    library = make_library(held)
    white = {name: library.whiten(library.embeddings(name).vectors) for name in library.videos()}
    for name, near in neighbours(library):
        for other, likeness in near.items():
            assert likeness == pytest.approx((white[name] @ white[other].T).max(), abs=1e-4)
        assert set(near) == set(white) - {name}
