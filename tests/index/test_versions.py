"""Libraries as earlier versions wrote them, stored under examples/."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from sora_video.index.library import Library
from sora_video.index.query import Query

HELD = {"a.mp4": 1, "b.mp4": 4, "d.mp4": 5, "e.mp4": 2, "f.mp4": 5}
ATTRIBUTES = {1: {}, 2: {"camera": 3, "place": "beach"}}


@pytest.fixture(params=[1, 2])
def version(request):
    return request.param


@pytest.fixture
def library(tmp_path, version):
    """A copy of the example; the rows of e.mp4 and f.mp4 were added in turn."""
    shutil.copytree(Path(__file__).parent / f"examples/version{version}", tmp_path / "library")
    return Library.open(tmp_path / "library")


def check(library, held, versions):
    """Assert that a library holds just these versions of these videos."""
    for found in (library, Library.open(library.path)):
        assert (found.videos(), found.damage) == (sorted(held), ())
        for name, number in held.items():
            made = versions({name: number})
            stored = found.embeddings(name)
            assert np.array_equal(stored.vectors[np.argsort(stored.start_s)], made.vectors)
            for row in range(len(made)):
                assert found.search(Query(made.select([row]), top=1))[0].video_id == name
    assert library.verify().damage == ()


def slice_ids(library, versions):
    """The stable ids of the best slices."""
    return {name: library.search(Query(versions({name: HELD[name]}), top=1))[0].slice_id for name in HELD}


def test_an_old_library_is_read(library, version):
    assert (library.fingerprint, library.dim, library.model) == ("f" * 64, 8, "/runs/first")
    assert (len(library), library.info().removed_slices) == (13, 4)
    assert library.attributes("a.mp4") == ATTRIBUTES[version]


def test_an_old_library_answers(library, versions):
    for name, number in HELD.items():
        made = versions({name: number})
        for row in range(len(made)):
            (hit,) = library.search(Query(made.select([row]), top=1))
            assert (hit.video_id, round(hit.cosine, 4)) == (name, 1.0)
        assert library.embeddings(name).fingerprint == "f" * 64


def test_an_old_library_is_written(library, version, versions):
    before = slice_ids(library, versions)
    assert library.add(versions({"a.mp4": 1, "d.mp4": 6, "g.mp4": 2}))[:3] == (1, 1, 1)
    library.set_attributes({"a.mp4": {"camera": 5}})
    library.remove("b.mp4")
    assert library.attributes("a.mp4") == {**ATTRIBUTES[version], "camera": 5}
    assert '"version": 4' in (library.path / "manifest.json").read_text()
    held = {"a.mp4": 1, "d.mp4": 6, "g.mp4": 2}
    assert library.videos() == ["a.mp4", "d.mp4", "e.mp4", "f.mp4", "g.mp4"]
    library.compact()
    assert library.attributes("a.mp4") == {**ATTRIBUTES[version], "camera": 5}
    library.remove(["e.mp4", "f.mp4"])
    check(library, held, versions)
    assert library.search(Query(versions({"a.mp4": 1}), top=1))[0].slice_id == before["a.mp4"]
    assert not list(library.path.glob("segments/*.parquet"))


def test_compaction_of_an_old_library_keeps_ids(library, versions):
    before = slice_ids(library, versions)
    library.compact()
    assert slice_ids(library, versions) == before
    assert (library.info().segments, library.info().removed_slices) == (1, 0)
    assert library.verify().damage == ()
