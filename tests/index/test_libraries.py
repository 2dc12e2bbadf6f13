"""Several libraries that are searched as one, against the library that they make when they are merged."""

import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from sora_video.base.errors import ConfigError, FingerprintError, LibraryError
from sora_video.index.duplicates import find_duplicates
from sora_video.index.example import Example, query_by_example
from sora_video.index.libraries import Libraries
from sora_video.index.library import Library
from sora_video.index.localize import localize
from sora_video.index.merge import merge_libraries
from sora_video.index.opening import open_store
from sora_video.index.query import Query
from sora_video.index.store.filters import Where
from sora_video.pretrain.encoders.aspects import Aspect

DIM = 16


@pytest.fixture
def shot(random_vectors):
    """A function from a number to the slices of a film that changes slowly, as films do."""

    def make(number):
        steps = np.cumsum(0.3 * random_vectors(number, 6 + number % 7, DIM), axis=0)
        halves = np.split(1 + 2 * random_vectors(1000 + number, 1, DIM) + steps, 2, axis=1)
        parts = [half / np.linalg.norm(half, axis=1, keepdims=True) for half in halves]
        return (np.concatenate(parts, axis=1) / np.sqrt(2)).astype(np.float32)

    return make


@pytest.fixture
def films(make_embeddings, shot):
    """A function that makes the embeddings of some videos."""

    def make(numbers, **changes):
        return dataclasses.replace(make_embeddings({f"{n}.mp4": shot(n) for n in numbers}), **changes)

    return make


@pytest.fixture
def apart(tmp_path, films):
    """Three libraries; 80.mp4 is a copy of 5.mp4 in another one, and aspects are compared alone."""
    aspects = (Aspect("look", 0, DIM // 2, 0.5), Aspect("motion", DIM // 2, DIM, 0.5))
    copy = films([5])
    copy.video_id[:] = "80.mp4"
    libraries = []
    for name, tables in {
        "a": [films(range(30))],
        "b": [films(range(30, 50)), copy],
        "c": [films([60])],
    }.items():
        library = Library.create(tmp_path / name, "f" * 64, DIM, aspects=aspects)
        for table in tables:
            library.add(dataclasses.replace(table, root=f"/{name}", aspects=aspects))
        libraries.append(library)
    libraries[0].set_attributes({"3.mp4": {"camera": 3}})
    libraries[1].set_attributes({"33.mp4": {"camera": 3}})
    libraries[0].remove("9.mp4")
    return libraries


@pytest.fixture
def joined(apart):
    return Libraries(apart)


@pytest.fixture
def merged(tmp_path, apart):
    return merge_libraries(tmp_path / "merged", [library.path for library in apart]).library


def rounded(results):
    """Results, but for the ids of slices, as plain values that are equal to four digits."""
    return json.loads(
        json.dumps([{**dataclasses.asdict(result), "slice_id": 0} for result in results]),
        parse_float=lambda number: pytest.approx(float(number), abs=1e-4),
    )


@pytest.mark.parametrize(
    "asked", [{}, {"by": "motion"}, {"exclude": "80.mp4"}, {"where": Where(attributes={"camera": 3})}]
)
def test_hits_are_those_of_the_merged_library(joined, merged, films, asked):
    for number in (2, 5, 33, 70):
        query = Query(films([number]), top=12, **asked)
        hits = localize(joined, query)
        assert hits
        assert rounded(hits) == rounded(localize(merged, query))


def test_duplicates_are_those_of_the_merged_library(joined, merged):
    groups = find_duplicates(joined)
    assert ("5.mp4", "80.mp4") in [group.videos for group in groups]
    assert rounded(groups) == rounded(find_duplicates(merged))


def test_a_slice_is_found_by_its_id(joined, apart):
    for library in apart:
        name = library.videos()[0]
        slice_id = int(joined.slices(name).slice_id[1])
        query = query_by_example(joined, Example(f"slice:{slice_id}"), top=3)
        assert np.array_equal(query.embeddings.vectors[0], library.embeddings(name).vectors[1])
        assert query.exclude == {name}
        ids = [hit.slice_id for hit in joined.search(query)]
        assert len({joined.slice(slice_id).video_id[0] for slice_id in ids}) == 3
    assert [joined.slice(n << 40).video_id[0] for n in range(3)] == ["0.mp4", "30.mp4", "60.mp4"]


def test_what_is_known_of_videos_is_that_of_their_libraries(joined, apart, merged):
    assert len(joined) == len(merged)
    assert joined.list_videos() == merged.list_videos()
    assert joined.attributes("33.mp4") == {"camera": 3}
    assert joined.info().videos == merged.info().videos
    assert (joined.folder, apart[0].folder) == (None, apart[0].path)


def test_older_libraries_have_folders_of_their_own(tmp_path):
    stored = Path(__file__).parents[1] / "examples/0.1.0/library"
    shutil.copytree(stored, tmp_path / "stored")
    old = Library.open(tmp_path / "stored")
    new = Library.create(tmp_path / "new", old.fingerprint, old.dim)
    held = old.embeddings(old.videos()[0])
    new.add(dataclasses.replace(held, video_id=np.full(len(held), "x.mp4", object), root="/new"))
    joined = Libraries([new, old])
    assert joined.sources(["x.mp4"]) == new.sources(["x.mp4"])
    assert joined.sources(old.videos()) == old.sources(old.videos())


def test_libraries_that_do_not_go_together_are_refused(tmp_path, apart, films):
    with pytest.raises(ConfigError, match="is named 2 times"):
        Libraries([apart[0], apart[0]])
    other = Library.create(tmp_path / "other", "0" * 64, DIM)
    with pytest.raises(FingerprintError, match=r"0{12}, expected f{12}"):
        Libraries([*apart, other])
    twice = Library.create(tmp_path / "twice", "f" * 64, DIM)
    twice.add(films([33]))
    with pytest.raises(LibraryError, match=r"b and .*twice both have a video 33\.mp4; remove it"):
        Libraries([*apart, twice])


def test_names_with_commas_are_several_libraries_unless_there_is_such_a_folder(tmp_path, apart, monkeypatch):
    monkeypatch.chdir(tmp_path)
    said = []
    assert len(open_store("a,b,c", said.append)) == sum(map(len, apart))
    shutil.copytree("a", "a,b")
    assert len(open_store("a,b", said.append)) == len(apart[0])
    assert said == []
    next(Path("b/segments").glob("*.vectors.faiss")).write_bytes(b"")
    assert len(open_store("a,b,c", said.append)) < sum(map(len, apart))
    assert "b: segments/" in said[0]
