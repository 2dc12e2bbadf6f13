from dataclasses import replace
from itertools import combinations

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sora_video.base.errors import LibraryError
from sora_video.index.build import build_library
from sora_video.index.duplicates import find_duplicates, group_pairs
from sora_video.index.library import Library
from sora_video.index.pairs import Pair, neighbours
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


@pytest.mark.slow
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
    loose = find_duplicates(library, normalize=False)
    assert {len({name[:7] for name in one.videos} - {"copy.mp"}) for one in loose} == {1}
    assert len({one.videos[-1][:7] for one in loose}) == 10
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


@given(st.lists(st.tuples(st.integers(0, 7), st.integers(0, 7)).filter(lambda pair: pair[0] != pair[1])))
def test_groups_are_linked_completely_and_have_each_pair(edges):
    """Reference: the pairs themselves, each of which is in one group, as is every two of a group."""
    likeness = {frozenset(map(str, edge)): 1 / (1 + number) for number, edge in enumerate(edges)}
    pairs = {
        names: Pair(query_id=min(names), video_id=max(names), likeness=value, cover=1.0, spans=())
        for names, value in likeness.items()
    }
    groups = group_pairs(pairs.values(), lambda one, other: pairs.get(frozenset([one, other])))
    for one in groups:
        assert {frozenset([p.query_id, p.video_id]) for p in one.pairs} == {
            frozenset(two) for two in combinations(one.videos, 2)
        }
    grouped = [frozenset([p.query_id, p.video_id]) for one in groups for p in one.pairs]
    assert (set(grouped), len(grouped)) == (pairs.keys(), len(pairs))
    together = [one for one in groups if len(one.videos) > 2]
    for three in combinations("01234567", 3):  # where all is linked, all is one group
        if all(frozenset(two) in pairs for two in combinations(three, 2)) and len(pairs) == 3:
            assert [one.videos for one in together] == [three]


def test_groups_do_not_chain(make_library, random_vectors):
    """Each film goes on where the one before it is half over."""
    film = random_vectors(0, 60, 64)
    held = {f"{number}.mp4": film[10 * number : 10 * number + 20] for number in range(5)}
    held |= {f"other {number}.mp4": random_vectors(number + 1, 20, 64) for number in range(6)}
    groups = find_duplicates(make_library(held), cover=0.4)
    assert [one.videos for one in groups] == [(f"{n}.mp4", f"{n + 1}.mp4") for n in range(4)]


@pytest.fixture
def led(tmp_path, make_embeddings, random_vectors, normed):
    """A library of eight films with the same leader, one of them twice: with it, and cut behind another."""
    leader, other = random_vectors(98, 1, 32).repeat(12, axis=0), random_vectors(99, 1, 32).repeat(6, axis=0)
    films = {f"{number}.mp4": random_vectors(number, 8, 32) for number in range(8)}
    held = {name: np.concatenate([leader, film]) for name, film in films.items()}
    copy = normed(films["3.mp4"][1:7] + 0.02 * random_vectors(60, 6, 32))
    held |= {"copy of 3.mp4": np.concatenate([other, copy]), "leader.mp4": leader}
    embeddings = make_embeddings(held)
    embeddings.end_s[:] = embeddings.start_s + 1
    shown = {**dict.fromkeys(films, 8), "copy of 3.mp4": 6, "leader.mp4": 0}
    still = [number < len(rows) - shown[name] for name, rows in held.items() for number in range(len(rows))]
    library = Library.create(tmp_path / "library", embeddings.fingerprint, embeddings.dim)
    library.add(replace(embeddings, still=np.array(still)))
    return library


@pytest.mark.parametrize("door", ["added", "compacted", "imported"])
def test_what_shows_nothing_makes_no_duplicates_and_hides_none(led, tmp_path, door):
    if door == "compacted":
        led.set_attributes({"0.mp4": {"camera": 1}})
        led.compact()
    if door == "imported":
        led.export(tmp_path / "all.parquet")
        led = Library.from_export(tmp_path / "again", tmp_path / "all.parquet")
    ((pair,),) = [one.pairs for one in find_duplicates(led)]
    assert (pair.query_id, pair.video_id) == ("3.mp4", "copy of 3.mp4")
    (span,) = pair.spans
    found = (span.query_start_s, span.query_end_s, span.start_s, span.end_s, pair.cover)
    assert found == pytest.approx((13, 19, 6, 12, 1), abs=0.1)
    assert led.embeddings("leader.mp4").still.all()


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


FILM = "odd/real/moviepy__media_big_buck_bunny_0_30.webm"
FPS = 12


@pytest.mark.slow
def test_spans_of_one_film_that_only_a_third_one_overlaps_are_not_together(
    data, tmp_path, write_video, moving_square, untrained_run
):
    """A and B share 7 s, and so do B and C; A ends where C starts."""
    with av.open(data / FILM) as film:
        film.streams.video[0].thread_type = "AUTO"
        pictures = [
            frame.reformat(96, 54, "rgb24").to_ndarray()
            for number, frame in enumerate(film.decode(video=0))
            if number % 2 == 0
        ]
    for name, start_s, end_s, quality in (("a", 0, 12, 10), ("b", 5, 19, 25), ("c", 12, 24, 18)):
        span = pictures[FPS * start_s : FPS * end_s]
        write_video(tmp_path / f"films/{name}.mp4", span, fps=FPS, options={"crf": str(quality)})
    for number in range(5):
        write_video(tmp_path / f"films/other {number}.mp4", moving_square(number, 72), fps=FPS)
    small = ("encoder.input=rgb", "encoder.width=8", "slice.size=32", "augment.size=32")
    library = build_library(
        tmp_path / "library", tmp_path / "films", untrained_run(tmp_path / "run", *small)
    ).library
    first, second = find_duplicates(library)
    assert (first.videos, second.videos) == (("a.mp4", "b.mp4"), ("b.mp4", "c.mp4"))
    (one,), (two,) = first.pairs[0].spans, second.pairs[0].spans
    assert [one.query_start_s, one.query_end_s, one.start_s, one.end_s] == pytest.approx(
        [5, 12, 0, 7], abs=0.5
    )
    assert [two.query_start_s, two.query_end_s, two.start_s, two.end_s] == pytest.approx(
        [7, 14, 0, 7], abs=0.5
    )
