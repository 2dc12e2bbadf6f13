"""The map of a library: likes lie together, and the same library has the same map."""

import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from sklearn.manifold import trustworthiness
from sklearn.neighbors import KNeighborsClassifier

from sora_video.base.errors import LibraryError
from sora_video.index.library import Library
from sora_video.index.map import content_of, map_library, read_map, write_map

KINDS, EACH, DIM = 6, 15, 16


@pytest.fixture
def kinds(make_library, normed):
    """A library of videos of several kinds, and the kind of each."""
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(KINDS, DIM))
    names = [f"{number:03d}.mp4" for number in range(KINDS * EACH)]
    held = {
        name: normed(centres[number % KINDS] + 0.4 * rng.normal(size=(3, DIM)))
        for number, name in enumerate(names)
    }
    return make_library(held), np.arange(KINDS * EACH) % KINDS


def in_their_kind(places, kind):
    """The share of videos of which most of the five nearest others are of their kind."""
    near = KNeighborsClassifier(6).fit(places, kind).kneighbors(places, return_distance=False)[:, 1:]
    return np.mean(np.mean(kind[near] == kind[:, None], axis=1) > 0.5)


def test_likes_lie_together(kinds):
    library, kind = kinds
    drawn = map_library(library)
    names, means = library.means()
    assert drawn.video_ids == names == library.videos()
    assert trustworthiness(library.whiten(means), drawn.places, n_neighbors=5) > 0.9
    assert in_their_kind(drawn.places, kind) > 0.95
    assert np.ptp(drawn.places, axis=0).max() == pytest.approx(1, abs=1e-4)


def test_the_map_is_the_same_in_another_process(kinds):
    library, _ = kinds
    program = (
        "import json, sys; from sora_video import Library, map_library; "
        "print(json.dumps(map_library(Library.open(sys.argv[1])).places.tolist()))"
    )
    told = subprocess.run([sys.executable, "-c", program, library.path], capture_output=True, check=True)
    np.testing.assert_array_equal(json.loads(told.stdout), map_library(library).places)


def test_further_videos_are_put_beside_those_they_are_like(kinds, monkeypatch):
    monkeypatch.setattr("sora_video.index.map.LANDMARKS", 50)
    library, kind = kinds
    assert in_their_kind(map_library(library).places, kind) > 0.9


def test_few_videos_have_a_map_too(make_library, normed):
    rng = np.random.default_rng(1)
    library = make_library({"a.mp4": normed(rng.normal(size=(2, 8)))})
    np.testing.assert_array_equal(map_library(library).places, [[0.5, 0.5]])
    same = normed(rng.normal(size=(2, 8)))
    library.add(replace(library.embeddings("a.mp4"), video_id=np.array(["b.mp4"] * 2, object), vectors=same))
    places = map_library(library).places
    np.testing.assert_allclose(np.sort(places[:, 0]), [0, 1], atol=1e-4)
    np.testing.assert_allclose(places[:, 1], 0.5, atol=1e-4)
    library.remove(library.videos())
    assert map_library(library).places.shape == (0, 2)


def test_equal_videos_lie_at_one_place(make_library, normed):
    rows = normed(np.random.default_rng(2).normal(size=(2, 8)))
    places = map_library(make_library({f"{number}.mp4": rows for number in range(20)})).places
    np.testing.assert_allclose(places, 0.5, atol=1e-4)


def test_what_shows_nothing_does_not_count(make_library, normed):
    rows = normed(np.random.default_rng(3).normal(size=(4, 8)))
    library = make_library({"a.mp4": rows, "b.mp4": rows})
    for name, still in (("a.mp4", [True, False, True, False]), ("b.mp4", [True] * 4)):
        table = replace(library.embeddings(name), still=np.array(still))
        library.add(table, content={name: "1" * 64})
    names, means = library.means()
    assert names == ["a.mp4", "b.mp4"]
    np.testing.assert_allclose(means, [rows[[1, 3]].mean(axis=0), rows.mean(axis=0)], atol=1e-6)


def test_a_map_belongs_to_the_content(kinds):
    library, _ = kinds
    before = content_of(library)
    library.set_attributes({"000.mp4": {"camera": 1}})
    library.remove(["001.mp4"])
    without = content_of(library)
    library.compact()
    assert before != without == content_of(Library.open(library.path))


def test_maps_are_kept_in_files(kinds, tmp_path):
    drawn = map_library(kinds[0])
    path = tmp_path / "map.parquet"
    write_map(path, drawn)
    again = read_map(path)
    assert (again.video_ids, again.content) == (drawn.video_ids, drawn.content)
    np.testing.assert_array_equal(again.places, drawn.places)
    write_map(path, replace(drawn, content="0" * 64))
    assert read_map(path).map_id == "0" * 12
    for damage in (b"", path.read_bytes()[:-20]):
        path.write_bytes(damage)
        with pytest.raises(LibraryError, match="delete it to have it made anew"):
            read_map(path)
