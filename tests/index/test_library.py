import subprocess
import sys

import numpy as np
import pytest

from sora_video.base.errors import FingerprintError, LibraryError
from sora_video.index.library import Library
from sora_video.index.opening import open_library
from sora_video.index.query import Query

EYE = np.eye(4)


@pytest.fixture
def library(tmp_path, make_embeddings):
    made = Library.create(tmp_path / "library", "f" * 64, 4)
    made.add(make_embeddings({"a.mp4": EYE[:1], "b.mp4": EYE[1:3]}))
    return made


def test_a_new_library_is_empty(tmp_path):
    library = Library.create(tmp_path / "new/library", "f" * 64, 4)
    again = Library.open(tmp_path / "new/library")
    assert (len(library), len(again), again.videos(), again.dim) == (0, 0, [], 4)
    assert (again.fingerprint, again.model, again.info().bytes_per_slice) == ("f" * 64, None, 0.0)


@pytest.mark.parametrize("taken", ["library/other", "library"])
def test_create_refuses_a_place_that_is_taken(tmp_path, taken):
    (tmp_path / taken).parent.mkdir(exist_ok=True)
    (tmp_path / taken).write_text("mine")
    with pytest.raises(LibraryError, match=r"library: exists already; add to it"):
        Library.create(tmp_path / "library", "f" * 64, 4)


def test_create_refuses_no_dimension(tmp_path):
    with pytest.raises(LibraryError, match="dim=0: must be at least 1"):
        Library.create(tmp_path / "library", "f" * 64, 0)


def test_open_names_the_folder_that_is_no_library(tmp_path):
    with pytest.raises(LibraryError, match=r"nowhere: no library there \(manifest.json is missing\); check"):
        Library.open(tmp_path / "nowhere")


def test_info_counts(library, make_embeddings):
    library.add(make_embeddings({"b.mp4": EYE[3:]}))
    info = Library.open(library.path).info()
    size = sum(file.stat().st_size for file in (library.path / "segments").iterdir())
    assert (info.videos, info.slices, info.segments, info.removed_slices) == (2, 2, 2, 2)
    assert (info.bytes, info.bytes_per_slice, info.index_type, info.dim) == (size, size / 2, "Flat", 4)


def test_slice_ids_are_stable_and_never_used_again(library, make_embeddings):
    def ids():
        return {hit.video_id: hit.slice_id for hit in library.search(Query(make_embeddings({"q": EYE})))}

    assert ids() == {"a.mp4": 0, "b.mp4": 1}
    library.add(make_embeddings({"b.mp4": EYE[2:3]}))
    assert ids() == {"a.mp4": 0, "b.mp4": 3}
    library.remove("b.mp4")
    library.add(make_embeddings({"c.mp4": EYE[2:3]}))
    assert ids() == {"a.mp4": 0, "c.mp4": 4}


def test_remove_names_the_unknown_and_removes_nothing(library):
    library.remove(["b.mp4"])
    with pytest.raises(LibraryError, match=r"has no video b.mp4, z.mp4; nothing was done, correct the name"):
        library.remove(["z.mp4", "a.mp4", "b.mp4"])
    assert library.videos() == Library.open(library.path).videos() == ["a.mp4"]


def test_an_opened_library_stays_as_it_was_while_another_writes(library, make_embeddings):
    reader, query = Library.open(library.path), make_embeddings({"q": EYE[:1]})
    library.remove("a.mp4")
    library.add(make_embeddings({"c.mp4": EYE[:1]}))
    assert reader.videos() == ["a.mp4", "b.mp4"]
    assert reader.search(Query(query, top=1))[0].video_id == "a.mp4"
    reader.remove("b.mp4")
    assert reader.videos() == ["c.mp4"]


def test_another_fingerprint_is_refused_though_dimensions_agree(library, make_embeddings):
    other = make_embeddings({"a.mp4": EYE[:1]}, fingerprint="0" * 64)

    def search(embeddings):
        library.search(Query(embeddings))

    def search_many(embeddings):
        library.search_many(Query(embeddings))

    for use, what in (
        (library.add, "the embeddings to add"),
        (search, "the query"),
        (search_many, "the query"),
    ):
        with pytest.raises(FingerprintError, match=f"{what} has fingerprint 000000000000, expected fffff"):
            use(other)
    assert len(library) == 3


@pytest.mark.parametrize(
    ("vectors", "message"),
    [
        (np.eye(5), "has dim=5, the library has 4"),
        (np.zeros((1, 4)), "a vector of a.mp4 has length 0, not 1"),
        (np.full((1, 4), np.nan), "has length nan"),
        (np.ones((1, 4)), "has length 2"),
    ],
)
def test_vectors_that_cannot_be_compared_are_refused(library, make_embeddings, vectors, message):
    odd = make_embeddings({"a.mp4": vectors})
    for use in (library.add, lambda embeddings: library.search(Query(embeddings))):
        with pytest.raises(LibraryError, match=message):
            use(odd)


def test_a_name_that_is_no_text_is_refused_in_plain_ascii(library, make_embeddings):
    with pytest.raises(LibraryError, match=r"video 'caf\\udce9.mp4': its name is not UTF-8; rename"):
        library.add(make_embeddings({"caf\udce9.mp4": EYE[:1]}))


def test_names_may_hold_any_text(library, make_embeddings):
    names = ["日本/猫 1.mp4", 'quote"\n.mp4', "e\u0301.mp4", "é.mp4", "🎬.mp4"]
    library.add(make_embeddings(dict.fromkeys(names, EYE[:1])))
    library.remove(names[1])
    assert set(Library.open(library.path).videos()) == {"a.mp4", "b.mp4", *names} - {names[1]}


def test_the_model_is_remembered_until_another_is_named(library, make_embeddings, tmp_path):
    for model in (None, tmp_path / "one", None, tmp_path / "two"):
        library.add(make_embeddings({"a.mp4": EYE[:1]}), model=model)
    assert library.model == Library.open(library.path).model == str(tmp_path / "two")


def test_adding_nothing_changes_nothing(library, make_embeddings):
    library.add(make_embeddings({}))
    assert (len(library), library.info().segments) == (3, 1)


def test_a_library_opens_without_what_takes_long_to_import():
    heavy = ("torch", "sklearn", "scipy")
    code = "import sys, sora_video.index.library, sora_video.index.build\n"
    code += f"print([name for name in {heavy} if name in sys.modules])"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout == "[]\n"


def test_a_tilde_is_the_home_folder(tmp_path, monkeypatch, versions):
    monkeypatch.setenv("HOME", str(tmp_path))
    Library.create("~/library", "f" * 64, 8).add(versions({"a.mp4": 1}))
    assert (tmp_path / "library" / "manifest.json").is_file()
    assert Library.open("~/library").videos() == ["a.mp4"]


def test_damage_is_told_a_line_a_file(tmp_path, versions):
    Library.create(tmp_path / "library", "f" * 64, 8).add(versions({"a.mp4": 1}))
    (path,) = (tmp_path / "library" / "segments").glob("*.vectors.faiss")
    path.write_bytes(path.read_bytes()[:-1])
    told = []
    assert open_library(tmp_path / "library", told.append).videos() == []
    assert len(told) == 1
    assert path.name in told[0]
    assert "sora index repair" in told[0]
