import faiss
import numpy as np
import pytest

from sora_video.base.errors import LibraryError
from sora_video.index.library import Library
from sora_video.index.query import Query


def best_pairs(held, query, top):
    """Reference: {video: [(slice_id, start_s, vector)]} to [(video, score, slice_id, start_s, query row)]."""
    found = []
    for video, rows in held.items():
        pairs = [
            (-float(vector @ wanted), place, slice_id, start_s)
            for slice_id, start_s, vector in rows
            for place, wanted in enumerate(query)
        ]
        loss, place, slice_id, start_s = min(pairs)
        found.append((loss, video, slice_id, start_s, place))
    return [(video, -loss, *rest) for loss, video, *rest in sorted(found)[:top]]


def as_tuples(hits):
    assert all(hit.end_s == hit.start_s + 2 and hit.query_end_s == hit.query_start_s + 2 for hit in hits)
    return [(hit.video_id, hit.cosine, hit.slice_id, hit.start_s, int(hit.query_start_s)) for hit in hits]


@pytest.mark.parametrize("queries", [1, 7, 150])
@pytest.mark.parametrize("top", [1, 10, 1000])
def test_search_is_exact(tmp_path, make_embeddings, random_vectors, queries, top):
    library, held, first = Library.create(tmp_path / "library", "f" * 64, 16), {}, 0
    for segment in range(3):
        videos = {f"{segment}/{n}.mp4": random_vectors([segment, n], 1 + n * 7 % 13, 16) for n in range(20)}
        library.add(make_embeddings(videos))
        for name, rows in videos.items():
            held[name] = [(first + n, float(n), row) for n, row in enumerate(rows)]
            first += len(rows)
    query = random_vectors([9], queries, 16)
    found = as_tuples(library.search(Query(make_embeddings({"q": query}), top=top)))
    expected = best_pairs(held, query, top)
    assert [hit[:1] + hit[2:] for hit in found] == [hit[:1] + hit[2:] for hit in expected]
    np.testing.assert_allclose([hit[1] for hit in found], [hit[1] for hit in expected], atol=1e-6)


def test_search_agrees_with_plain_faiss(tmp_path, make_embeddings, random_vectors):
    vectors, query = random_vectors(0, 500, 32), random_vectors(1, 1, 32)
    library = Library.create(tmp_path / "library", "f" * 64, 32)
    library.add(make_embeddings({f"{n:03d}.mp4": vectors[n : n + 1] for n in range(500)}))
    plain = faiss.IndexFlatIP(32)
    plain.add(vectors)
    scores, rows = plain.search(query, 25)
    hits = library.search(Query(make_embeddings({"q": query}), top=25))
    assert [hit.slice_id for hit in hits] == rows[0].tolist()
    np.testing.assert_allclose([hit.cosine for hit in hits], scores[0], atol=1e-6)


def test_one_video_with_all_the_nearest_slices_does_not_crowd_out_others(tmp_path, make_embeddings):
    angles = {f"far {n}.mp4": [0.5 + n / 100] for n in range(9)}
    angles["crowd.mp4"] = np.linspace(0, 0.4, 3000)
    vectors = {
        name: np.stack([np.cos(angle), np.sin(angle), 0 * np.array(angle), 0 * np.array(angle)], axis=1)
        for name, angle in angles.items()
    }
    library = Library.create(tmp_path / "library", "f" * 64, 4)
    library.add(make_embeddings(vectors))
    hits = library.search(Query(make_embeddings({"q": np.eye(4)[:1]}), top=10))
    assert [hit.video_id for hit in hits] == ["crowd.mp4", *(f"far {n}.mp4" for n in range(9))]
    assert hits[0].start_s == 0.0


def test_a_query_slice_whose_fetch_is_full_does_not_hide_its_other_videos(tmp_path, make_embeddings):
    # Slice 0 of the query is near 50 slices of one video, then near "next"; slice 1 is far from everything.
    vectors = {
        "crowd.mp4": np.tile([[1.0, 0, 0, 0]], (50, 1)),
        "next.mp4": np.array([[0.96, 0.28, 0, 0]]),
        **{f"poor {n}.mp4": np.array([[0, 0, 0.6, 0.8]]) for n in range(9)},
    }
    library = Library.create(tmp_path / "library", "f" * 64, 4)
    library.add(make_embeddings(vectors))
    hits = library.search(Query(make_embeddings({"q": np.eye(4)[[0, 2]]}), top=2))
    assert [hit.video_id for hit in hits] == ["crowd.mp4", "next.mp4"]


@pytest.mark.parametrize("queries", [1, 40])
def test_copies_score_the_same_and_come_by_name(tmp_path, make_embeddings, random_vectors, queries):
    row = random_vectors(3, 1, 128)
    names = [f"{n:03d}.mp4" for n in range(600)]
    library = Library.create(tmp_path / "library", "f" * 64, 128)
    for part in (names[1::2], names[::2]):
        library.add(make_embeddings(dict.fromkeys(reversed(part), row)))
    query = np.concatenate([random_vectors(4, queries - 1, 128), row])
    hits = library.search(Query(make_embeddings({"q": query}), top=20))
    assert [hit.video_id for hit in hits] == names[:20]
    assert len({hit.cosine for hit in hits}) == 1


def test_excluded_videos_make_room_for_others(tmp_path, make_embeddings):
    library = Library.create(tmp_path / "library", "f" * 64, 4)
    query = make_embeddings({"q": np.eye(4)[:1]})
    assert library.search(Query(query)) == []
    library.add(make_embeddings({"a": np.tile(np.eye(4)[:1], (100, 1)), "b": np.eye(4)[1:2], "c": np.eye(4)}))
    assert [hit.video_id for hit in library.search(Query(query, top=1, exclude="a"))] == ["c"]
    assert [hit.video_id for hit in library.search(Query(query, top=2, exclude=["a", "c", "unknown"]))] == [
        "b"
    ]
    assert library.search(Query(query, exclude=library.videos())) == []
    assert library.search(Query(make_embeddings({}))) == []
    with pytest.raises(LibraryError, match="top=0: must be at least 1"):
        library.search(Query(query, top=0))
