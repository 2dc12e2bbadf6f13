import numpy as np
import pytest
from sklearn.covariance import LedoitWolf

from sora_video.base.errors import FingerprintError, LibraryError
from sora_video.index.library import Library
from sora_video.index.localize import localize
from sora_video.index.query import Query
from sora_video.index.store.filters import Where


@pytest.fixture
def alike(make_library, random_vectors, normed):
    """Sixty videos that are all close to one common picture: any two slices have a cosine of about 0.94."""
    common = random_vectors(99, 1, 64)
    return make_library(
        {f"{n:02d}.mp4": normed(common + 0.25 * random_vectors(n, 12, 64)) for n in range(60)}
    )


def excerpt(library, name, random_vectors, normed):
    """Slices 3 to 7 of a video, somewhat changed."""
    query = library.embeddings(name).select(np.arange(3, 8))
    query.vectors[:] = normed(query.vectors + 0.1 * random_vectors(7, 5, query.vectors.shape[1]))
    return query


def test_a_copy_stands_out_among_videos_that_are_all_alike(alike, random_vectors, normed):
    query = excerpt(alike, "17.mp4", random_vectors, normed)
    first, *others = localize(alike, Query(query))
    assert (first.video_id, first.sure) == ("17.mp4", True)
    assert [(span.start_s, span.end_s) for span in first.aligned] == [
        pytest.approx((3, 8), abs=0.3),
    ]
    assert len(others) == 9
    assert not any(hit.sure for hit in others)
    assert others[-1].cosine > 0.9  # which no threshold on cosines would tell from a copy


def test_what_is_found_does_not_depend_on_how_many_are_wanted(make_library, random_vectors, normed):
    """Among videos of which the candidates, the rival and the background would be others."""
    common = random_vectors(99, 1, 16)
    spread = {n: 0.2 + 0.01 * (n % 7) for n in range(260)}
    library = make_library(
        {f"{n:03d}.mp4": normed(common + width * random_vectors(n, 12, 16)) for n, width in spread.items()}
    )
    for name in ("017.mp4", "101.mp4"):
        query = excerpt(library, name, random_vectors, normed)
        found = {
            top: localize(Library.open(library.path), Query(query, top=top))
            for top in (1, 3, 10, 60, 250, 300)
        }
        assert [len(hits) for hits in found.values()] == [1, 3, 10, 60, 250, 260]
        assert all(hits == found[300][: len(hits)] for hits in found.values())
        assert len({hit.video_id for hit in found[300]}) == 260


def test_without_its_video_nothing_stands_out(alike, random_vectors, normed):
    for number in range(0, 60, 5):
        name = f"{number:02d}.mp4"
        hits = localize(alike, Query(excerpt(alike, name, random_vectors, normed), exclude=name))
        assert len(hits) == 10
        assert not any(hit.sure for hit in hits)


def test_videos_are_ranked_by_a_milder_whitening_and_lead_by_the_whole(alike, random_vectors, normed):
    """Reference: both whitenings of scikit-learn's covariance, and chamfer similarities, in NumPy."""
    held = {name: alike.embeddings(name).vectors for name in alike.videos()}
    every = np.concatenate([*held.values()]).astype(np.float64)
    fitted = LedoitWolf().fit(every)
    variances, axes = np.linalg.eigh(fitted.covariance_)
    query = excerpt(alike, "17.mp4", random_vectors, normed)

    def chamfer(power):
        matrix = axes * variances**-power
        white = {name: normed((vectors - fitted.location_) @ matrix) for name, vectors in held.items()}
        asked = normed((query.vectors - fitted.location_) @ matrix)
        return {name: float((asked @ vectors.T).max(1).mean()) for name, vectors in white.items()}

    mild, whole = chamfer(0.35), chamfer(0.5)
    hits = localize(alike, Query(query, top=10, exclude="17.mp4"))
    candidates = {hit.video_id for hit in alike.search(Query(query, top=50, exclude="17.mp4"))}
    ranked = sorted(candidates, key=lambda name: -mild[name])
    assert [hit.video_id for hit in hits] == ranked[:10]
    rival = sorted((whole[name] for name in candidates), reverse=True)[20]
    leads = [(whole[name] - rival) / (1 - rival) for name in ranked[:10]]
    assert [hit.lead for hit in hits] == pytest.approx(leads, abs=1e-4)


def test_all_slices_of_a_query_count(make_library, random_vectors, normed):
    """One video has the very first slice of the query, another one something like all of it."""
    held = {f"{n}.mp4": random_vectors(n, 10, 64) for n in range(8)}
    film = random_vectors(50, 4, 64)
    held["one slice.mp4"] = np.concatenate([film[:1], random_vectors(51, 9, 64)])
    held["all of it.mp4"] = normed(film + 0.3 * random_vectors(52, 4, 64))
    library = make_library(held | {"query": film})
    query = library.embeddings("query")
    assert library.search(Query(query, top=1, exclude="query"))[0].video_id == "one slice.mp4"
    assert localize(library, Query(query, top=1, exclude="query"))[0].video_id == "all of it.mp4"


@pytest.mark.parametrize("videos", [1, 2])
def test_among_too_few_videos_nobody_can_tell(make_library, random_vectors, videos):
    library = make_library({f"{n}.mp4": random_vectors(n, 5, 8) for n in range(videos)})
    hits = localize(library, Query(library.embeddings("0.mp4")))
    assert [hit.video_id for hit in hits][:1] == ["0.mp4"]
    assert [(hit.lead, hit.sure) for hit in hits] == [(None, False)] * videos


def test_where_all_videos_are_the_same_none_stands_out(make_library, random_vectors):
    film = random_vectors(0, 5, 8)
    library = make_library({f"{n}.mp4": film for n in range(30)})
    hits = localize(library, Query(library.embeddings("3.mp4")))
    assert len(hits) == 10
    assert not any(hit.sure for hit in hits)


def test_several_copies_all_stand_out(make_library, random_vectors):
    held = {f"{n}.mp4": random_vectors(n, 5, 32) for n in range(40)}
    library = make_library(held | {f"copy {n}.mp4": held["3.mp4"] for n in range(4)})
    hits = localize(library, Query(library.embeddings("3.mp4")))
    assert {hit.video_id for hit in hits if hit.sure} == {"3.mp4", *(f"copy {n}.mp4" for n in range(4))}


def test_moments_lie_in_the_time_that_is_asked_for(make_library, random_vectors):
    held = {f"{n}.mp4": random_vectors(n, 20, 32) for n in range(5)}
    held["0.mp4"][15] = held["0.mp4"][4]
    library = make_library(held)
    query = library.embeddings("0.mp4").select([4])
    assert {one.start_s for one in localize(library, Query(query, top=1))[0].moments} == {4, 15}
    (hit,) = localize(library, Query(query, top=1, where=Where(start_s=10)))
    assert [one.start_s for one in hit.moments] == [15]


def test_what_cannot_be_searched_for_is_refused(alike, make_embeddings):
    query = alike.embeddings("00.mp4")
    with pytest.raises(LibraryError, match="top=0: must be at least 1"):
        localize(alike, Query(query, top=0))
    with pytest.raises(LibraryError, match="has dim=4, the library has 64"):
        localize(alike, Query(make_embeddings({"a.mp4": np.eye(4)})))
    with pytest.raises(FingerprintError):
        localize(alike, Query(make_embeddings({"a.mp4": np.eye(64)}, fingerprint="0" * 64)))


def test_nothing_found_is_an_empty_answer(alike):
    assert localize(alike, Query(alike.embeddings("00.mp4"), exclude=alike.videos())) == []
