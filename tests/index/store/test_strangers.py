"""Libraries whose checksums are right, but which no correct writer made: refused in one line."""

import json
import sqlite3

import faiss
import numpy as np
import pytest

from sora_video.base.digests import json_sha256
from sora_video.base.errors import LibraryError
from sora_video.index.library import Library
from sora_video.index.store.files import store

ATTEMPT = """
from sora_video.base.errors import LibraryError
from sora_video.index.verify import verify
try:
    found = verify(Path(sys.argv[1]))
    for damage in found.damage:
        print(damage)
    library = Library.open(sys.argv[1])
    library.search(Query(versions({"a.mp4": 1})))
except LibraryError as error:
    print(error)
"""


@pytest.fixture
def library(tmp_path, versions):
    """One segment with an inverted file, a hidden video and edited attributes."""
    made = Library.create(tmp_path / "library", "f" * 64, 8)
    made.add(versions({"a.mp4": 1, "b.mp4": 2, "c.mp4": 3}))
    made.remove("c.mp4")
    made.set_attributes({"a.mp4": {"camera": 4}})
    return made.path


def put(path, key, value):
    """Set one value of the manifest, by a dotted key, with a checksum that fits; None takes it away."""
    body = json.loads((path / "manifest.json").read_text())
    del body["sha256"]
    inner, *keys = body, *key.split(".")
    for part in keys[:-1]:
        inner = inner[int(part) if part.isdigit() else part]
    if value is None:
        del inner[keys[-1]]
    else:
        inner[keys[-1]] = value
    (path / "manifest.json").write_text(json.dumps({**body, "sha256": json_sha256(body)}))


def replace_file(path, key, name, data):
    """Put other bytes where the manifest names a file."""
    stored = store(path, name, data)
    put(path, key, {"name": name, "size": stored.size, "sha256": stored.sha256})


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("fingerprint", None),
        ("dim", "8"),
        ("dim", 0),
        ("dim", 10**40),
        ("precision", "int8"),
        ("metric", "l2"),
        ("next_slice_id", -1),
        ("next_slice_id", 10**40),
        ("next_segment", 1.5),
        ("segments", {}),
        ("segments", [3]),
        ("segments.0.vectors", None),
        ("segments.0.vectors.name", "../../manifest.json"),
        ("segments.0.slices.name", "/etc/passwd"),
        ("segments.0.slices.name", "segments/../manifest.json"),
        ("attributes.name", "segments/a\n.json"),
        ("segments.0.vectors.size", -1),
        ("segments.0.rows", 0),
        ("segments.0.rows", 10**18),
        ("segments.0.removed", {"c.mp4": -5}),
        ("segments.0.removed", ["c.mp4"]),
    ],
)
def test_a_manifest_with_odd_values_is_refused(library, key, value):
    put(library, key, value)
    with pytest.raises(LibraryError, match=r"\A[^\n]*manifest\.json: [^\n]*; restore it from a copy\Z"):
        Library.open(library)


ENDLESS = "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i FROM n) SELECT i AS row, i AS slice_id FROM n"
TABLES = {
    "an endless view": f"ALTER TABLE slices RENAME TO old; CREATE VIEW slices AS {ENDLESS}",
    "a trigger": "CREATE TRIGGER t AFTER INSERT ON videos BEGIN DELETE FROM videos; END",
    "no table": "DROP TABLE videos",
    "a gap": "UPDATE videos SET number = 7 WHERE number = 2",
    "a first row beyond all": "UPDATE videos SET first_row = 1000 WHERE number = 1",
    "a negative first row": "UPDATE videos SET first_row = -4 WHERE number = 1",
    "a first row of text": "UPDATE videos SET first_row = 'x' WHERE number = 1",
    "attributes that are none": "UPDATE videos SET attributes = '[1]'",
    "attributes without end": "UPDATE videos SET attributes = '{'",
    "an empty name": "UPDATE videos SET video_id = '' WHERE number = 0",
    "a name of bytes": "UPDATE videos SET video_id = x'ff' WHERE number = 0",
    "a negative time": "UPDATE slices SET start_s = -1 WHERE row = 0",
    "an infinite time": "UPDATE slices SET end_s = 9e999 WHERE row = 0",
    "a time of text": "UPDATE slices SET end_s = 'soon' WHERE row = 0",
    "a slice of a negative id": "UPDATE slices SET slice_id = -1 WHERE row = 0",
    "a slice number out of range": f"UPDATE slices SET slice_no = {10**12} WHERE row = 0",
    "a row too many": "UPDATE slices SET row = 99 WHERE row = 0",
}


@pytest.mark.parametrize("change", TABLES)
def test_a_table_with_odd_values_is_refused(library, script, change):
    name = "segments/000001.slices.sqlite"
    connection = sqlite3.connect(library / name)
    connection.executescript(TABLES[change])
    connection.close()
    replace_file(library, "segments.0.slices", name, (library / name).read_bytes())
    check_refused(library, script, name)


def check_refused(library, script, name):
    """Assert that a file is named in one line, by a process that neither crashes nor runs on."""
    output, errors = script(ATTEMPT, library).communicate(timeout=60)
    assert errors == ""
    assert output.startswith(f"{name} of segment 000001 is damaged: ")
    assert len(output.splitlines()) == 1


def vectors_of(change):
    """A FAISS file that is no file of 9 vectors of 8 dimensions."""
    dim = 4 if change == "another dimension" else 8
    metric = faiss.METRIC_L2 if change == "another metric" else faiss.METRIC_INNER_PRODUCT
    kind = {"codes": "PQ4x4", "another index": "IVF1,Flat"}.get(change, "Flat")
    index = faiss.index_factory(dim, kind, metric)
    vectors = np.random.default_rng(0).normal(size=(64, dim)).astype(np.float32)
    index.train(vectors)
    index.add(vectors[: 5 if change == "fewer" else 9])
    return faiss.serialize_index(index).tobytes()


@pytest.mark.parametrize("change", ["another dimension", "another metric", "codes", "another index", "fewer"])
def test_vectors_of_another_kind_are_refused(library, script, change):
    name = "segments/000001.vectors.faiss"
    replace_file(library, "segments.0.vectors", name, vectors_of(change))
    check_refused(library, script, name)


def index_of(change):
    """An approximate index of 9 rows that is wrong."""
    index = faiss.index_factory(8, "IVF1,Flat", faiss.METRIC_INNER_PRODUCT)
    vectors = np.random.default_rng(0).normal(size=(64, 8)).astype(np.float32)
    index.train(vectors)
    rows = np.arange(9)
    rows[3] = {"a row beyond all": 10**15, "a negative row": -7}.get(change, 3)
    if change == "another index":
        index = faiss.IndexIDMap(faiss.IndexFlatIP(8))
    index.add_with_ids(vectors[:9], rows)
    return faiss.serialize_index(index).tobytes()


@pytest.mark.parametrize("change", ["a row beyond all", "a negative row", "another index"])
def test_an_index_that_names_other_rows_is_refused(library, script, change):
    name = "segments/000001.index.faiss"
    built = {"file": None, "kind": "IVF1,Flat", "parameters": {"nprobe": 1}, "curve": [], "seed": 0}
    put(library, "segments.0.index", built)
    replace_file(library, "segments.0.index.file", name, index_of(change))
    check_refused(library, script, name)


@pytest.mark.parametrize("data", [b"[]", b"{", b'{"a.mp4": 3}', b'{"a.mp4": {"camera": [1]}}', b"[" * 99999])
def test_edits_that_are_none_are_damage(library, data):
    replace_file(library, "attributes", "attributes/000002.json", data)
    (damage,) = Library.open(library).damage
    assert str(damage).startswith("attributes/000002.json is damaged: it holds no attributes by video: ")
