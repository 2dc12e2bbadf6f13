"""Many queries at once, over exact and approximate indexes, with and without hidden rows."""

import numpy as np
import pytest

from sora_video.base.errors import LibraryError
from sora_video.index.example import Example, query_by_example
from sora_video.index.library import Library
from sora_video.index.query import Query, without_times
from sora_video.index.search import decoded, nearest, shelf
from sora_video.index.search.nearest import nearest_videos
from sora_video.index.search.shelf import Shelf
from sora_video.index.store.filters import Where
from sora_video.index.store.kinds import make_kind
from sora_video.index.store.source import Source
from sora_video.index.tune.target import Target

DIM = 8


def grouped(library, queries, top, passes=lambda *_: True):
    """Reference: the best slice of each visible video, by plain loops."""
    rows = []
    for segment in library._snapshot.searchable:
        every = np.arange(segment.record.rows)
        for row, vector, slice_id in zip(
            every, segment.read(every), segment.columns(every).slice_id.tolist(), strict=True
        ):
            video = segment.videos[int(np.searchsorted(segment.first_row, row, side="right")) - 1]
            if video not in segment.record.removed and passes(video, slice_id):
                rows.append((video, slice_id, vector))
    answers = []
    for query in queries:
        best = {}
        for video, slice_id, vector in rows:
            found = (-float(vector @ query), slice_id)
            best[video] = min(best.get(video, found), found)
        ranked = sorted((score, video, slice_id) for video, (score, slice_id) in best.items())
        answers.append([(video, slice_id) for _, video, slice_id in ranked[:top]])
    return answers


def answers(matches):
    """The same of what was found."""
    return [
        list(zip(matches.video_ids(query), ids[ids >= 0].tolist(), strict=True))
        for query, ids in enumerate(matches.slice_ids)
    ]


@pytest.fixture
def library(tmp_path, make_embeddings, random_vectors):
    """Three segments of 40 videos of 1 to 13 slices, some crowded into one place, some removed."""
    made = Library.create(tmp_path / "library", "f" * 64, DIM)
    for part in range(3):
        videos = {}
        for n in range(40):
            rows = random_vectors([part, n], 1 + 7 * n % 13, DIM)
            if n % 4 == 0:
                rows = rows[:1] + 0.02 * rows
                rows /= np.linalg.norm(rows, axis=1, keepdims=True)
            videos[f"{part}/{n:02d}.mp4"] = rows
        made.add(
            make_embeddings(videos),
            attributes={name: {"camera": n % 5} for n, name in enumerate(videos)},
        )
    made.remove(["0/03.mp4", "2/39.mp4"])
    return made


@pytest.mark.parametrize("queries", [1, 33])
@pytest.mark.parametrize("top", [1, 10, 500])
@pytest.mark.parametrize(("scores", "block"), [(1 << 23, 1024), (300, 7)])
def test_many_queries_are_answered_as_by_plain_loops(
    library, random_vectors, monkeypatch, queries, top, scores, block
):
    monkeypatch.setattr(shelf, "SCAN_COSINES", scores)
    monkeypatch.setattr(nearest, "QUERY_BLOCK", block)
    asked = random_vectors(9, queries, DIM)
    found = library.search_many(Query(without_times(asked, library.fingerprint), top=top))
    assert answers(found) == grouped(library, asked, top)
    there = found.slice_ids >= 0
    assert found.cosines.shape == (queries, top)
    assert np.array_equal(there, found.cosines > -np.inf)
    assert np.array_equal(there, found.segments >= 0)
    assert (np.diff(np.where(there, found.cosines, -9), axis=1) <= 0).all()


def test_many_at_once_are_answered_as_one_by_one(library, make_embeddings, random_vectors):
    asked = random_vectors(3, 40, DIM)
    found = library.search_many(Query(without_times(asked, library.fingerprint), top=7))
    for number, query in enumerate(asked):
        hits = library.search(Query(make_embeddings({"q": query[None]}), top=7))
        assert [(hit.video_id, hit.slice_id) for hit in hits] == answers(found)[number]
        assert [hit.cosine for hit in hits] == found.cosines[number].tolist()


@pytest.mark.parametrize("top", [3, 200])
def test_vectors_of_half_precision_are_decoded_in_blocks_with_the_same_answers(
    tmp_path, make_embeddings, random_vectors, monkeypatch, top
):
    monkeypatch.setattr(decoded, "BLOCK", 13)
    half = Library.create(tmp_path / "half", "f" * 64, DIM, "fp16")
    half.add(make_embeddings({f"{n:02d}.mp4": random_vectors([7, n], 1 + n % 5, DIM) for n in range(40)}))
    asked = random_vectors(8, shelf.BLAS_QUERIES, DIM)
    found = half.search_many(Query(without_times(asked, half.fingerprint), top=top))
    assert answers(found) == grouped(half, asked, top)


@pytest.mark.parametrize("queries", [1, 33])
@pytest.mark.parametrize(
    ("where", "passes"),
    [
        (Where(attributes={"camera": 2}), lambda video: int(video[2:4]) % 5 == 2),
        (Where(videos="1/*"), lambda video: video.startswith("1/")),
        (Where(videos="1/17.mp4"), lambda video: video == "1/17.mp4"),
        (Where(videos="none"), lambda _: False),
    ],
)
def test_a_filter_works_inside_the_search(library, random_vectors, queries, where, passes):
    asked = random_vectors(4, queries, DIM)
    expected = grouped(library, asked, 5, lambda video, _: passes(video))
    assert (
        answers(library.search_many(Query(without_times(asked, library.fingerprint), top=5, where=where)))
        == expected
    )


def test_a_filter_on_time_leaves_the_best_of_the_slices_that_it_lets_through(library, random_vectors):
    asked = random_vectors(5, 20, DIM)
    first = {}
    for segment in library._snapshot.searchable:
        columns = segment.columns(np.arange(segment.record.rows))
        first |= dict(zip(columns.slice_id.tolist(), columns.start_s.tolist(), strict=True))
    expected = grouped(library, asked, 5, lambda _, slice_id: 2 <= first[slice_id] <= 4)
    assert (
        answers(
            library.search_many(
                Query(without_times(asked, library.fingerprint), top=5, where=Where(start_s=2.0, end_s=6.0))
            )
        )
        == expected
    )


HNSW = make_kind("HNSW", links=16)
IVF = make_kind("IVF-Flat", lists=30)
SQ8 = make_kind("IVF-SQ8", lists=30)
OPQ = make_kind("OPQ-IVF-PQ", lists=30, parts=4)


def parameters(kind, rerank):
    """The least effort, and few candidates."""
    return {kind.effort: kind.least_effort, **({"rerank": rerank} if kind.rerank else {})}


@pytest.mark.parametrize("kind", [HNSW, IVF, OPQ], ids=str)
def test_a_filter_that_lets_one_in_a_thousand_through_still_fills_the_answer(
    tmp_path, make_embeddings, random_vectors, monkeypatch, kind
):
    monkeypatch.setattr(shelf, "SCAN_ROWS", 0)  # so that the index itself has to find them
    vectors = random_vectors(0, 8000, DIM)
    library = Library.create(tmp_path / "large", "f" * 64, DIM)
    library.add(make_embeddings({f"{n:04d}": vectors[2 * n : 2 * n + 2] for n in range(4000)}))
    (segment,) = library._snapshot.searchable
    index, tuned = kind.build(Source(segment.vectors, 0)), parameters(kind, 4)
    few = np.zeros(8000, np.bool_)
    few[np.random.default_rng(0).choice(8000, 8, replace=False)] = True
    asked = random_vectors(1, 25, DIM)
    found = nearest_videos([Shelf(segment, few, index=index, tuned=tuned, kind=kind)], asked, 5)
    scores = np.where(few, asked @ vectors.T, -np.inf).reshape(25, 4000, 2).max(axis=2)
    np.testing.assert_allclose(found.cosines, -np.sort(-scores, axis=1)[:, :5], atol=1e-6)
    assert few[found.rows].all()


@pytest.mark.parametrize("kind", [HNSW, IVF, SQ8, OPQ], ids=str)
def test_an_approximate_index_fills_the_answer_with_videos_and_true_scores(
    tmp_path, make_embeddings, random_vectors, kind
):
    crowd = random_vectors(7, 1, DIM) + 0.01 * random_vectors(8, 1200, DIM)
    crowd /= np.linalg.norm(crowd, axis=1, keepdims=True)
    vectors = np.concatenate([crowd, random_vectors(0, 1200, DIM)])
    library = Library.create(tmp_path / "large", "f" * 64, DIM)
    library.add(
        make_embeddings({"crowd": crowd, **{f"{n:04d}": vectors[n][None] for n in range(1200, 2400)}})
    )
    (segment,) = library._snapshot.searchable
    index, tuned = kind.build(Source(segment.vectors, 0)), parameters(kind, 2)
    asked = np.concatenate([crowd[:3], random_vectors(1, 30, DIM)])
    found = nearest_videos([Shelf(segment, index=index, tuned=tuned, kind=kind)], asked, 10)
    assert (found.rows >= 0).all()
    assert all(len(set(videos)) == 10 for videos in found.videos.tolist())
    np.testing.assert_allclose(found.cosines, np.einsum("qd,qkd->qk", asked, vectors[found.rows]), atol=1e-6)
    exact = nearest_videos([Shelf(segment)], asked, 10)
    assert np.array_equal(found.rows[:3], exact.rows[:3])


@pytest.mark.parametrize(("precision", "tuned"), [("fp32", False), ("fp32", True), ("fp16", False)])
def test_copies_score_the_same_in_every_segment_and_come_by_name(
    tmp_path, make_embeddings, random_vectors, precision, tuned
):
    row = random_vectors(3, 1, 32)
    library = Library.create(tmp_path / "copies", "f" * 64, 32, precision)
    names = [f"{n:03d}.mp4" for n in range(300)]
    library.add(
        make_embeddings({**dict.fromkeys(reversed(names[::2]), row), "x": random_vectors(0, 900, 32)})
    )
    if tuned:
        library.tune(Target(recall=0.5))
    library.add(make_embeddings(dict.fromkeys(reversed(names[1::2]), row)))
    asked = np.concatenate([row, random_vectors(4, 30, 32)])
    found = library.search_many(Query(without_times(asked, library.fingerprint), top=20))
    exact = library._snapshot.searchable[0].index is library._snapshot.searchable[0].vectors
    if exact:
        assert found.video_ids(0) == names[:20]
    assert found.video_ids(0) == sorted(found.video_ids(0))
    assert len(set(found.cosines[0].tolist())) == 1


def test_more_like_a_slice_finds_other_videos(library):
    slices = library.embeddings("1/10.mp4")
    ids = {hit.slice_id: hit.start_s for hit in library.search(Query(slices, top=1))}
    ((slice_id, start_s),) = ids.items()
    query = library.slice(slice_id)
    assert (query.video_id.tolist(), query.start_s.tolist()) == (["1/10.mp4"], [start_s])
    like = Example(f"slice:{slice_id}")
    hits = library.search(query_by_example(library, like, top=4, exclude="0/00.mp4"))
    assert hits == library.search(Query(query, top=4, exclude=["1/10.mp4", "0/00.mp4"]))
    gone = grouped(library, query.vectors, 1000)
    held = {found for _, found in gone[0]}
    library.remove("1/10.mp4")
    assert slice_id in held
    for number in (slice_id, 10**6):
        with pytest.raises(LibraryError, match=f"has no slice {number}; correct the number"):
            query_by_example(library, Example(f"slice:{number}"))


def test_queries_that_cannot_be_compared_are_refused(library):
    for wrong, message in (
        (np.eye(DIM + 1), f"the query: has dim={DIM + 1}, the library has {DIM}"),
        (np.eye(DIM)[0], r"query vectors: has shape .*, must be \(N, D\)"),
        (2 * np.eye(DIM), "the query: a vector of vectors has length 2, not 1; L2-normalise it"),
    ):
        with pytest.raises(LibraryError, match=message):
            library.search_many(Query(without_times(wrong.astype(np.float32), library.fingerprint)))
    with pytest.raises(LibraryError, match="top=0"):
        library.search_many(Query(without_times(np.eye(DIM, dtype=np.float32), library.fingerprint), top=0))
    nothing = without_times(np.zeros((0, DIM), np.float32), library.fingerprint)
    assert library.search_many(Query(nothing, top=3)).slice_ids.shape == (0, 3)
