"""Libraries of tables that are read in pieces, against those of tables that are read at once."""

import dataclasses

import numpy as np
import pytest

from sora_video.base.errors import CorpusError, FingerprintError, LibraryError
from sora_video.index.build import add_to_library, build_library
from sora_video.index.library import Library
from sora_video.pretrain.encoders import streamed
from sora_video.pretrain.encoders.embeddings import write_embeddings
from sora_video.pretrain.encoders.streamed import StreamedTable

DIM = 8
ROOT = "/films"


@pytest.fixture
def _small_pieces(monkeypatch):
    """Five slices are read at once."""
    monkeypatch.setattr(streamed, "GROUP_BYTES", 5 * 4 * DIM)


@pytest.fixture
def films(make_embeddings, random_vectors):
    """A function that makes the embeddings of some of 40 videos of 1 to 17 slices."""

    def make(numbers, version=0):
        held = {f"{n}.mp4": random_vectors(100 * version + n, 1 + 7 * n % 17, DIM) for n in numbers}
        return dataclasses.replace(make_embeddings(held), root=ROOT)

    return make


def write_parts(folder, *tables):
    """A folder of parts, one a table."""
    for number, table in enumerate(tables):
        write_embeddings(table, folder / f"part-{number:06d}.parquet")
    return folder


def files_of(library):
    """All files of a library with their bytes, but for the list of what was verified."""
    folder = library.path
    return {
        path.relative_to(folder): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name not in ("lock", "verified.json")
    }


def check_alike(library, expected):
    """Both hold the same videos, slices, attributes and sources."""
    assert library.videos() == expected.videos()
    assert library.verify().damage == ()
    for name in expected.videos():
        found, made = library.embeddings(name), expected.embeddings(name)
        assert np.array_equal(found.vectors, made.vectors)
        assert np.array_equal(found.start_s, made.start_s)
        assert library.slices(name).slice_id.tolist() == expected.slices(name).slice_id.tolist()
    assert library.list_videos() == expected.list_videos()


@pytest.mark.usefixtures("_small_pieces")
@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_a_library_of_parts_has_the_bytes_of_one_that_was_made_at_once(tmp_path, films, precision):
    parts = write_parts(tmp_path / "parts", films(range(9)), films(range(9, 11)), films(range(11, 40)))
    write_embeddings(films(range(40)), tmp_path / "file.parquet")
    at_once = Library.create(tmp_path / "once", "f" * 64, DIM, precision)
    at_once.add(films(range(40)))
    of_parts = build_library(tmp_path / "one", parts, precision=precision)
    of_file = build_library(tmp_path / "two", tmp_path / "file.parquet", precision=precision)
    assert of_parts.added == of_file.added == (40, 0, 0, 0)
    assert files_of(of_parts.library) == files_of(of_file.library) == files_of(at_once)


@pytest.mark.usefixtures("_small_pieces")
def test_parts_are_added_as_a_table_at_once_is(tmp_path, films):
    libraries = []
    for name in ("streamed", "once"):
        library = Library.create(tmp_path / name, "f" * 64, DIM)
        library.add(films(range(6)), attributes={"3.mp4": {"camera": 3}, "5.mp4": {"camera": 5}})
        library.set_attributes({"1.mp4": {"camera": 1}})
        library.remove("5.mp4", ignore=True)
        libraries.append(library)
    new = films([1, 2, 5, 3, 20, 21]), films([4, 22], version=1)
    streamed_into, once = libraries
    change = add_to_library(streamed_into, write_parts(tmp_path / "parts", *new))
    tables = list(StreamedTable(tmp_path / "parts"))
    assert change.added == once.add_tables(tables, 0)
    assert change.added == (3, 1, 3, 1)  # 20 to 22 new, 4 replaced, 1 to 3 as they were, 5 ignored
    assert change.library.attributes("1.mp4") == {"camera": 1}
    assert change.library.attributes("3.mp4") == {"camera": 3}
    check_alike(streamed_into, once)
    assert np.array_equal(streamed_into.embeddings("4.mp4").vectors, films([4], version=1).vectors)


def test_rows_that_are_no_embeddings_are_left_out_of_parts(tmp_path, films):
    table = films(range(8))
    table.vectors[table.video_id == "2.mp4"] = 0  # a whole video
    table.vectors[np.flatnonzero(table.video_id == "3.mp4")[0]] = 0
    change = build_library(tmp_path / "library", write_parts(tmp_path / "parts", table))
    assert [failure.video_id for failure in change.failures] == ["2.mp4"]
    assert len(change.library) == np.count_nonzero(table.vectors.any(axis=1))
    assert change.library.verify().damage == ()
    table.vectors[:] = 0
    with pytest.raises(CorpusError, match="none of 8 videos has an embedding"):
        build_library(tmp_path / "other", write_parts(tmp_path / "zeros", table))
    assert not (tmp_path / "other").exists()


@pytest.mark.usefixtures("_small_pieces")
def test_rows_of_a_video_that_are_apart_are_refused(tmp_path, films):
    library = build_library(tmp_path / "library", write_parts(tmp_path / "parts", films([1, 2]))).library
    before = files_of(library)
    table = films([3, 4])
    mixed = table.select(np.argsort(table.slice_no, kind="stable"))
    with pytest.raises(LibraryError, match="are apart from each other; sort them by video"):
        add_to_library(library, write_parts(tmp_path / "mixed", mixed, films([3])))
    assert files_of(Library.open(library.path)) == before


def test_parts_of_two_encoders_are_refused(tmp_path, films):
    other = dataclasses.replace(films([3]), fingerprint="0" * 64)
    with pytest.raises(FingerprintError, match="keep one encoder's parts together"):
        build_library(tmp_path / "library", write_parts(tmp_path / "parts", films([1]), other))
    assert not (tmp_path / "library").exists()
