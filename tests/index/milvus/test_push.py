"""A push makes Milvus equal to a folder, and a pull a folder equal to Milvus; nothing is seen half."""

import dataclasses

import numpy as np
import pytest

from sora_video.base.errors import FingerprintError, LibraryError
from sora_video.index.library import Library
from sora_video.index.localize import localize
from sora_video.index.milvus.collection import Collection
from sora_video.index.milvus.difference import compare
from sora_video.index.milvus.library import MilvusLibrary
from sora_video.index.milvus.pull import pull_library
from sora_video.index.milvus.push import Push, Pushed, manifest_of, push_library
from sora_video.index.query import Query

from .conftest import ASPECTS, draw, slices


def held(names, first=0, count=3):
    return {name: draw(number, count) for number, name in enumerate(names, first)}


def equal(folder, served):
    """Refuse a library in Milvus, or a folder, that differs from a folder; of many, vectors of some."""
    assert served.list_videos() == folder.list_videos()
    assert len(served) == len(folder)
    names = folder.videos()
    for name in names[:: max(1, len(names) // 12)]:
        assert served.embeddings(name).vectors.tolist() == folder.embeddings(name).vectors.tolist()


@pytest.fixture
def folder(make_folder):
    """Twelve videos with attributes."""
    names = [f"{number:02d}.mp4" for number in range(12)]
    return make_folder(held(names), {name: {"n": int(name[:2]) / 4, "kind": "a"} for name in names})


def test_what_was_pushed_is_pulled_again(server, folder, tmp_path):
    address = server.address()
    assert push_library(folder, address) == Pushed(added=12, replaced=0, removed=0, unchanged=0)
    pulled = Library.open(pull_library(address, tmp_path / "pulled"))
    equal(folder, pulled)
    assert pulled.model == folder.model == "hf:some/model"
    assert pulled.aspects == ASPECTS
    assert pulled.contents(folder.videos()) == folder.contents(folder.videos())
    for name in folder.videos():
        for here, there in zip(folder.slices(name), pulled.slices(name), strict=True):
            assert here.tolist() == there.tolist()
    query = Query(folder.embeddings("03.mp4").select(np.arange(2)))
    assert localize(pulled, query) == localize(folder, query)  # by the same whitening
    assert pulled.verify().damage == ()
    assert pulled.add(slices({"new.mp4": draw(77, 2)}), root="/videos").added == 1
    new, before = (
        set(library.slices(name).slice_id) for library, name in ((pulled, "new.mp4"), (folder, "11.mp4"))
    )
    assert min(new) > max(before)


def test_a_second_push_changes_what_differs_alone(server, folder):
    address = server.address()
    push_library(folder, address)
    served = MilvusLibrary(address)
    assert push_library(folder, address) == Pushed(added=0, replaced=0, removed=0, unchanged=12)
    folder.remove(["00.mp4", "01.mp4"])
    folder.add(slices({"02.mp4": draw(50, 5), "new.mp4": draw(51, 2)}), root="/videos")
    folder.set_attributes({"03.mp4": {"n": 9.5, "kind": None}})
    assert push_library(folder, address) == Pushed(added=1, replaced=2, removed=2, unchanged=8)
    equal(folder, served)  # also for one who opened it before
    connection = served._collection.connection
    assert connection.count(served._collection.name, "row >= 0") == len(folder)  # nothing is left behind
    folder.remove(folder.videos())
    assert push_library(folder, address).removed == 11
    assert (served.videos(), len(served)) == ([], 0)
    assert served.search(Query(slices({"q": draw(1, 2)}))) == []


def test_an_empty_library_is_pushed_and_pulled(server, make_folder, tmp_path):
    address = server.address()
    assert push_library(make_folder({}), address) == Pushed(0, 0, 0, 0)
    assert localize(MilvusLibrary(address), Query(slices({"q": draw(1, 2)}))) == []
    assert Library.open(pull_library(address, tmp_path / "pulled")).videos() == []


def pushing(folder, address):
    """A push up to its first step."""
    push = Push(Collection.open(address), folder._snapshot, manifest_of(folder, folder._snapshot.manifest))
    push.clean()
    return push


def test_nothing_is_seen_of_a_push_until_it_commits(server, folder):
    """Step by step, as a push goes, and as it is stopped at each."""
    address = server.address()
    push_library(folder, address)
    before, served = folder.list_videos(), MilvusLibrary(address)
    query = folder.embeddings("02.mp4")
    hits = served.search(Query(query))
    folder.add(slices({"02.mp4": draw(50, 5), "new.mp4": draw(51, 2)}), root="/videos")
    push = pushing(folder, address)
    difference = compare(push.collection, push.snapshot)
    assert push._write(difference.changed, push.collection.state.rows) == 7
    for library in (served, MilvusLibrary(address)):  # rows are there that do not count
        assert library.list_videos() == before
        assert library.search(Query(query)) == hits
    push = pushing(folder, address)  # which deletes them
    state = push.collection.state
    assert push.collection.connection.count(push.collection.name, "row >= 0") == state.rows
    push._write(difference.changed, state.rows)
    push._commit(
        rows=state.rows + 7, videos=13, slices=len(folder), retired=("02.mp4",), retired_below=state.rows
    )
    for library in (served, MilvusLibrary(address)):  # earlier rows are there that count no more
        equal(folder, library)
        assert library.search(Query(query))[0].cosine < 0.99
    assert push_library(folder, address) == Pushed(added=0, replaced=0, removed=0, unchanged=13)
    equal(folder, served)
    assert push.collection.refresh().retired == ()


def test_one_push_at_a_time_commits(server, folder):
    address = server.address()
    push_library(folder, address)
    folder.add(slices({"new.mp4": draw(51, 2)}), root="/videos")
    slow = pushing(folder, address)
    parts = compare(slow.collection, slow.snapshot).changed
    slow._write(parts, slow.collection.state.rows)
    assert push_library(folder, address).added == 1
    with pytest.raises(LibraryError, match="another push writes to it; run one at a time"):
        slow._commit(rows=slow.collection.state.rows + 2)
    equal(folder, MilvusLibrary(address))


def test_what_is_there_must_be_a_library_of_the_same_encoder(server, folder, tmp_path):
    address = server.address()
    push_library(folder, address)
    other = Library.create(tmp_path / "other", "0" * 64, 32)
    with pytest.raises(
        FingerprintError, match="other has fingerprint 000000000000, expected ffffffffffff; the "
    ):
        push_library(other, address)
    connection = Collection.open(address).connection
    with pytest.raises(LibraryError, match="no library there; write one with `sora index push`"):
        MilvusLibrary(f"{address}_absent")
    with pytest.raises(LibraryError, match="is a collection, but not a library that `sora index push` wrote"):
        MilvusLibrary(f"{address}_whitening")
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken/file").touch()
    with pytest.raises(LibraryError, match="taken: exists already; add to it, or choose another folder"):
        pull_library(address, tmp_path / "taken")
    connection.call("delete", Collection.open(address).name, filter="row == 4")
    with pytest.raises(LibraryError, match=r"has 2 of 3 slices of 01.mp4; repeat `sora index push`"):
        pull_library(address, tmp_path / "pulled")
    assert not (tmp_path / "pulled").exists()
    with pytest.raises(LibraryError, match=r"has 2 of 3 slices of 01.mp4; repeat `sora index push`"):
        MilvusLibrary(address).embeddings("01.mp4")
    assert push_library(folder, address) == Pushed(added=0, replaced=1, removed=0, unchanged=11)
    equal(folder, MilvusLibrary(address))


def test_a_half_precision_library_comes_back_bit_for_bit(server, tmp_path):
    library = Library.create(tmp_path / "half", "f" * 64, 32, "fp16", ASPECTS)
    library.add(dataclasses.replace(slices(held(["a.mp4", "b.mp4"])), root="/videos"))
    address = server.address()
    push_library(library, address)
    pulled = Library.open(pull_library(address, tmp_path / "pulled"))
    equal(library, pulled)
    assert pulled.info().precision == "fp16"
