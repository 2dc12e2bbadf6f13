import os

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sora_video.base.errors import CorpusError, FingerprintError, LibraryError
from sora_video.index.build import add_to_library, build_library
from sora_video.index.example import Example, query_by_example
from sora_video.index.library import Library
from sora_video.index.localize import localize
from sora_video.index.verify import verify
from sora_video.pretrain.encoders.embeddings import write_embeddings

NO_MODEL = "model: none is given, and the library remembers none; name a run folder with --model"


def query_a_video(library, source):
    """Embed a video with the library's encoder."""
    query_by_example(library, Example(source))


@pytest.fixture
def table(tmp_path, make_embeddings):
    """A table of embeddings of two videos."""
    path = tmp_path / "embeddings.parquet"
    write_embeddings(make_embeddings({"a.mp4": np.eye(4)[:2], "b.mp4": np.eye(4)[2:]}), path)
    return path


@pytest.fixture
def manifest(tmp_path):
    """A Parquet manifest of videos."""
    path = tmp_path / "videos.parquet"
    pq.write_table(pa.table({"path": ["a.mp4"], "embedding": ["not that"]}), path)
    return path


def test_a_manifest_of_videos_is_no_table_of_embeddings(tmp_path, manifest):
    with pytest.raises(LibraryError, match=NO_MODEL):
        build_library(tmp_path / "library", manifest)


@pytest.mark.parametrize("content", [None, b"", b"PAR1 and so on"])
def test_a_table_that_cannot_be_read_is_named(tmp_path, content):
    path = tmp_path / "odd.parquet"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(CorpusError, match=r"odd\.parquet: no table of embeddings"):
        build_library(tmp_path / "library", path)


def test_build_and_add_from_tables(tmp_path, table, make_embeddings):
    library, failures, added = build_library(tmp_path / "deep/library", table)
    assert (library.videos(), len(library), library.model) == (["a.mp4", "b.mp4"], 4, None)
    assert (failures, added[:3]) == ((), (2, 0, 0))
    more = tmp_path / "more.parquet"
    write_embeddings(make_embeddings({"b.mp4": np.eye(4)[:1], "c.mp4": np.eye(4)[:1]}), more)
    grown, _, added = add_to_library(library, more)
    assert added[:3] == (1, 1, 0)
    assert (grown.videos(), len(grown)) == (["a.mp4", "b.mp4", "c.mp4"], 4)
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["library"]


def test_an_empty_folder_may_become_a_library(tmp_path, table, monkeypatch):
    (tmp_path / "library").mkdir()
    monkeypatch.chdir(tmp_path / "library")
    assert len(build_library(".", table).library) == 4
    assert len(Library.open(tmp_path / "library")) == 4


def test_a_taken_place_is_refused_before_anything_is_embedded(tmp_path, table):
    build_library(tmp_path / "library", table)
    with pytest.raises(LibraryError, match="exists already"):
        build_library(tmp_path / "library", tmp_path / "no such corpus", model="no such run")


def test_a_build_that_fails_leaves_no_folder(tmp_path, make_embeddings):
    path = tmp_path / "tables/long.parquet"
    write_embeddings(make_embeddings({"a.mp4": 2 * np.eye(4)}), path)
    with pytest.raises(LibraryError, match=r"a vector of a\.mp4 has length 2"):
        build_library(tmp_path / "library", path)
    assert [entry.name for entry in tmp_path.iterdir()] == ["tables"]


def test_adding_from_another_model_is_refused(tmp_path, table, make_embeddings):
    build_library(tmp_path / "library", table)
    other = tmp_path / "other.parquet"
    write_embeddings(make_embeddings({"c.mp4": np.eye(4)}, fingerprint="0" * 64), other)
    with pytest.raises(FingerprintError):
        add_to_library(Library.open(tmp_path / "library"), other)
    assert len(Library.open(tmp_path / "library")) == 4


def test_a_remembered_run_that_is_gone_has_a_remedy(tmp_path, table):
    library, _, _ = build_library(tmp_path / "library", table, model=tmp_path / "gone")
    for use in (add_to_library, query_a_video):
        with pytest.raises(LibraryError, match=r"gone: no such run folder; name it with --model"):
            use(library, tmp_path / "videos")


def test_video_without_a_model_is_refused(tmp_path, table):
    library, _, _ = build_library(tmp_path / "library", table)
    for use in (add_to_library, query_a_video):
        with pytest.raises(LibraryError, match=NO_MODEL):
            use(library, tmp_path / "videos")
    with pytest.raises(LibraryError, match=NO_MODEL):
        build_library(tmp_path / "another", tmp_path)
    assert not (tmp_path / "another").exists()


def test_what_a_killed_build_left_is_swept_by_the_next(tmp_path, table, script):
    os.mkfifo(tmp_path / "endless.parquet")  # nobody writes to it, so that its reader waits
    code = "from sora_video.index.build import build_library; build_library(sys.argv[1], sys.argv[2])"
    with script(code, tmp_path / "library", tmp_path / "endless.parquet") as process:
        while not (leftovers := list(tmp_path.glob(".*"))):
            assert process.poll() is None
        process.kill()
    (leftovers[0] / "large").write_bytes(b"what it had written")
    build_library(tmp_path / "library", table)
    assert list(tmp_path.glob(".*")) == []


def test_a_tilde_is_the_home_folder_wherever_a_path_is_taken(tmp_path, table, monkeypatch):
    assert table.parent == tmp_path
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    library, _, _ = build_library("~/library", "~/embeddings.parquet", model="~/run")
    assert library.model == str(tmp_path / "run")
    library.export("~/all.parquet")
    np.save(tmp_path / "query.npy", np.eye(4, dtype=np.float32)[:2])
    imported = Library.from_export("~/again", "~/all.parquet")
    assert add_to_library(imported, "~/embeddings.parquet").added[:3] == (0, 0, 2)
    query = query_by_example(imported, Example("~/query.npy"), top=1)
    assert [hit.video_id for hit in localize(imported, query)] == ["a.mp4"]
    assert verify("~/again").damage == ()
    assert not (tmp_path / "~").exists()
