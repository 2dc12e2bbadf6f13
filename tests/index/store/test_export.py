import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sora_video.base.errors import FingerprintError, LibraryError
from sora_video.index.build import add_to_library
from sora_video.index.library import Library
from sora_video.index.query import Query
from sora_video.index.store import export
from sora_video.pretrain.encoders.embeddings import read_embeddings


@pytest.fixture(params=["fp32", "fp16"])
def library(request, tmp_path, versions):
    made = Library.create(tmp_path / "library", "f" * 64, 8, request.param)
    made.add(
        versions({"a.mp4": 1, "b.mp4": 2, "é 日.mp4": 3}),
        model="/runs/first",
        root="/videos",
        content={"a.mp4": "abc"},
        attributes={"a.mp4": {"camera": 3, "place": 'a "quoted", \n one', "sunny": True}},
    )
    made.add(versions({"b.mp4": 4, "c.mp4": 5}), root="/videos")
    made.set_attributes({"c.mp4": {"camera": 1.5}})
    made.remove("é 日.mp4")
    return made


def everything(library):
    """All that a library tells."""
    snapshot = library._snapshot
    manifest = snapshot.manifest
    videos = {}
    for name, held in snapshot.find(library.videos()).items():
        found = snapshot.embeddings(held)
        ids = snapshot.segments[held.segment_no].columns(
            np.arange(held.entry.first_row, held.entry.first_row + held.entry.rows)
        )
        columns = [ids.slice_id, found.slice_no, found.start_s, found.end_s, found.vectors]
        videos[name] = [
            held.entry.content,
            dict(held.attributes),
            held.source,
            *(column.tolist() for column in columns),
        ]
    return videos, manifest.fingerprint, manifest.model, manifest.precision, manifest.next_slice_id


@pytest.mark.parametrize("batch", [1, 2, 8192])
def test_a_library_comes_back_as_it_was(library, tmp_path, monkeypatch, batch):
    monkeypatch.setattr(export, "BATCH_ROWS", batch)
    library.export(tmp_path / "all.parquet")
    again = Library.from_export(tmp_path / "again", tmp_path / "all.parquet")
    assert everything(again) == everything(library)
    assert again.verify().damage == ()


def test_an_export_is_a_table_of_embeddings(library, tmp_path, versions):
    library.export(tmp_path / "all.parquet")
    found = read_embeddings(tmp_path / "all.parquet")
    assert (found.fingerprint, found.videos()) == ("f" * 64, ["a.mp4", "b.mp4", "c.mp4"])
    expected = versions({"a.mp4": 1, "b.mp4": 4, "c.mp4": 5}).vectors
    np.testing.assert_allclose(found.vectors, expected, atol=1e-3)


def test_an_export_that_is_added_gives_names_times_and_vectors_alone(library, tmp_path):
    """As a table of `sora embed` does; `import` brings the rest."""
    library.export(tmp_path / "all.parquet")
    other = Library.create(tmp_path / "other", "f" * 64, 8)
    add_to_library(other, tmp_path / "all.parquet", prefix="old")
    names = ["old/a.mp4", "old/b.mp4", "old/c.mp4"]
    assert other.videos() == names
    assert other.attributes("old/a.mp4") == {}
    assert other.sources(names) == dict.fromkeys(names)
    kept, given = other.embeddings("old/c.mp4"), library.embeddings("c.mp4")
    np.testing.assert_array_equal(kept.start_s, given.start_s)
    np.testing.assert_allclose(kept.vectors, given.vectors, atol=1e-3)


def test_an_empty_library_comes_back(tmp_path):
    Library.create(tmp_path / "library", "f" * 64, 8).export(tmp_path / "all.parquet")
    Library.from_export(tmp_path / "again", tmp_path / "all.parquet")
    assert (len(Library.open(tmp_path / "again")), Library.open(tmp_path / "again").dim) == (0, 8)


def broken(table, how):
    """A table of an export with one thing wrong."""
    if how == "a slice twice":
        ids = table["slice_id"].to_pylist()
        return table.set_column(5, "slice_id", pa.array([ids[1], *ids[1:]], pa.int64()))
    if how == "a video in two parts":
        return pa.concat_tables([table.slice(1), table.slice(0, 1)])
    if how == "an id too high":
        return table.set_column(5, "slice_id", pa.array(range(100, 100 + len(table)), pa.int64()))
    if how == "no ids":
        return table.drop_columns(["slice_id"])
    return table.replace_schema_metadata({"fingerprint": "f"})


@pytest.mark.parametrize(
    "how", ["a slice twice", "a video in two parts", "an id too high", "no ids", "no metadata"]
)
def test_another_table_is_no_export(library, tmp_path, how):
    library.export(tmp_path / "all.parquet")
    pq.write_table(broken(pq.read_table(tmp_path / "all.parquet"), how), tmp_path / "odd.parquet")
    with pytest.raises(
        LibraryError, match=r"\Aimport [^\n]*odd.parquet: is [^\n]*not an exported library[:;] [^\n]*\Z"
    ):
        Library.from_export(tmp_path / "again", tmp_path / "odd.parquet")
    assert not (tmp_path / "again").exists()


def test_export_and_import_refuse_what_would_overwrite_or_mislead(library, tmp_path, versions):
    with pytest.raises(
        LibraryError, match=r"all.csv: is written as Parquet; choose a name that ends in .parquet"
    ):
        library.export(tmp_path / "all.csv")
    library.export(tmp_path / "all.parquet")
    with pytest.raises(LibraryError, match="exists already"):
        Library.from_export(library.path, tmp_path / "all.parquet")
    with pytest.raises(LibraryError, match=r"none.parquet: no such file; export one, or"):
        Library.from_export(tmp_path / "again", tmp_path / "none.parquet")
    Library.from_export(tmp_path / "again", tmp_path / "all.parquet")
    other = versions({"a.mp4": 1})
    with pytest.raises(FingerprintError):
        Library.open(tmp_path / "again").search(
            Query(type(other)(**{**vars(other), "fingerprint": "0" * 64}))
        )
