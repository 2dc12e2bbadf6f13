"""Libraries whose checksums are right, but which no correct writer made: refused in one line."""

import json
import sqlite3
import subprocess
from contextlib import suppress
from dataclasses import replace
from threading import Timer

import faiss
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sora_video.base.digests import json_sha256
from sora_video.base.errors import CorpusError, LibraryError
from sora_video.index.library import Library
from sora_video.index.store import files, table_opening
from sora_video.index.store.files import store
from sora_video.pretrain.encoders.embeddings import read_embeddings, write_embeddings

ATTEMPTS = """
from sora_video.base.errors import LibraryError
from sora_video.index.query import Query
from sora_video.index.verify import verify

def attempt(path):
    try:
        found = verify(path)
        yield from map(str, found.damage)
        Library.open(path).search(Query(versions({"a.mp4": 1})))
    except LibraryError as error:
        yield str(error)

for line in sys.stdin:
    print(json.dumps(list(attempt(Path(json.loads(line))))), flush=True)
"""
SECONDS = 60
"""That one attempt may take."""


class Attempts:
    """A process that opens, verifies and searches one library after the other.

    Args:
        script: starts it.
    """

    def __init__(self, script):
        self.script, self.process = script, None

    def __call__(self, path):
        """What it says of a library: a list of lines. It must neither crash nor run on."""
        if self.process is None:
            self.process = self.script(ATTEMPTS, stdin=subprocess.PIPE)
        timer = Timer(SECONDS, self.process.kill)
        timer.start()
        with suppress(BrokenPipeError):  # it ended after the last answer
            self.process.stdin.write(json.dumps(str(path)) + "\n")
            self.process.stdin.flush()
        answer = self.process.stdout.readline()
        timer.cancel()
        if not answer:
            said = self.close()
            pytest.fail(f"the process ended: {said}")
        return json.loads(answer)

    def close(self):
        """End the process; returns its exit code and what it said on standard error."""
        if self.process is None:
            return None
        _, errors = self.process.communicate(timeout=SECONDS)
        code, self.process = self.process.returncode, None
        return code, errors


@pytest.fixture(scope="module")
def attempts(script):
    """A function from a library to what a process says that opens, verifies and searches it."""
    attempts = Attempts(script)
    yield attempts
    assert attempts.close() in (None, (0, ""))


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
    "a time without end": "UPDATE slices SET end_s = 1e300 WHERE row = 0",
    "reversed times": "UPDATE slices SET start_s = end_s + 1 WHERE row = 0",
    "a slice twice": "UPDATE slices SET slice_no = 1 WHERE row = 0",
    "a name with a zero": "UPDATE videos SET video_id = 'a' || char(0) || 'b' WHERE number = 0",
    "a name that is not UTF-8": "UPDATE videos SET video_id = CAST(x'61ff' AS TEXT) WHERE number = 0",
    "a name too long": "UPDATE videos SET video_id = printf('%.*c', 5000, 'a') WHERE number = 0",
    "a short view": "ALTER TABLE slices RENAME TO old; CREATE VIEW slices AS SELECT * FROM old",
    "a row too many": "UPDATE slices SET row = 99 WHERE row = 0",
}


@pytest.mark.parametrize("change", TABLES)
def test_a_table_with_odd_values_is_refused(library, attempts, change):
    name = "segments/000001.slices.sqlite"
    connection = sqlite3.connect(library / name)
    connection.executescript(TABLES[change])
    connection.close()
    replace_file(library, "segments.0.slices", name, (library / name).read_bytes())
    check_refused(library, attempts, name)


@pytest.mark.parametrize("change", TABLES)
def test_a_table_that_is_read_from_the_disk_is_checked_until_it_is_whole(library, monkeypatch, change):
    monkeypatch.setattr(table_opening, "IN_MEMORY_BYTES", 0)
    monkeypatch.setattr(files, "REMEMBERED_BYTES", 0)
    monkeypatch.setattr(files, "TICK_NS", -(10**15))  # whatever was verified is remembered
    name = "segments/000001.slices.sqlite"
    connection = sqlite3.connect(library / name)
    connection.executescript(TABLES[change])
    connection.close()
    replace_file(library, "segments.0.slices", name, (library / name).read_bytes())
    for _ in range(2):
        (damage,) = Library.open(library).damage
        assert (damage.file, damage.reason[:12]) == (name, "is damaged: ")


def check_refused(library, attempts, name):
    """Assert that a file is named in one line, by a process that neither crashes nor runs on."""
    (line,) = attempts(library)
    assert line.startswith(f"{name} of segment 000001 is damaged: ")
    assert len(line.splitlines()) == 1


NAMES = ["../../a.mp4", "/etc/passwd", "a\nb.mp4", "\x1b[2J.mp4", "\u202e4pm.mp4", " "]


def test_names_that_a_manifest_may_give_are_kept_and_open_again(tmp_path, versions, attempts):
    library = Library.create(tmp_path / "library", "f" * 64, 8)
    library.add(versions(dict.fromkeys(NAMES, 1)))
    assert attempts(library.path) == []
    assert Library.open(library.path).videos() == sorted(NAMES)
    library.export(tmp_path / "export.parquet")
    assert Library.from_export(tmp_path / "again", tmp_path / "export.parquet").videos() == sorted(NAMES)


def changed(embeddings, column, value):
    """Embeddings whose first row has another value."""
    values = getattr(embeddings, column).copy()
    values[0] = value
    return replace(embeddings, **{column: values})


ROWS = [
    ("video_id", "", "video '': is not the name of a file"),
    ("video_id", "a\0b", r"video 'a\\x00b': is not the name of a file"),
    ("video_id", "a" * 5000, r"video 'a{40}'\.\.\.: its name has 5000 bytes, more than 4096"),
    ("slice_no", -1, "a slice_no is negative"),
    ("slice_no", 1, "a slice of a video is there twice"),
    ("start_s", -1.0, "a slice's times are negative"),
    ("start_s", np.nan, "a slice's times are negative"),
    ("end_s", np.inf, "a slice's times are negative"),
    ("end_s", 1e300, "a slice's times are negative"),
    ("start_s", 5.0, "a slice's times are negative, infinite, too large or reversed"),
]


@pytest.mark.parametrize(("column", "value", "reason"), ROWS, ids=range(len(ROWS)))
def test_rows_that_no_slice_has_are_refused_wherever_they_come_in(tmp_path, versions, column, value, reason):
    whole = versions({"a.mp4": 2})
    wrong = changed(whole, column, value)
    library = Library.create(tmp_path / "library", "f" * 64, 8)
    with pytest.raises(LibraryError, match=rf"\A{reason}[^\n]*; rename the file, or fix the embeddings\Z"):
        library.add(wrong)
    library.add(whole)

    write_embeddings(wrong, tmp_path / "table.parquet")
    with pytest.raises(CorpusError, match=rf"\Aembeddings [^\n]*table\.parquet: [^\n]*{reason}[^\n]*\Z"):
        read_embeddings(tmp_path / "table.parquet")

    library.export(tmp_path / "export.parquet")
    table = pq.read_table(tmp_path / "export.parquet")
    place = table.schema.get_field_index(column)
    rows = pa.array(getattr(wrong, column), table.schema.field(column).type)
    if column == "video_id" and value != "":
        rows = pa.array(
            [value] * len(table), pa.string()
        )  # the rows of one video, as a writer would have them
    pq.write_table(table.set_column(place, table.schema.field(column), rows), tmp_path / "export.parquet")
    with pytest.raises(LibraryError, match=rf"\Aimport [^\n]*: is not an exported library: {reason}[^\n]*\Z"):
        Library.from_export(tmp_path / "again", tmp_path / "export.parquet")
    assert not (tmp_path / "again").exists()


def pages_in_circles(data):
    """Copies of an SQLite file, in each of which one page of a tree has itself or another as its child."""
    size = int.from_bytes(data[16:18], "big")
    count = len(data) // size
    for page in range(1, count):  # the first has the schema
        inner = {0x0D: 0x05, 0x05: 0x05, 0x0A: 0x02, 0x02: 0x02}.get(data[page * size])
        for child in range(1, count) if inner else ():
            header = bytes([inner, 0, 0, 0, 0, *size.to_bytes(2, "big"), 0, *(child + 1).to_bytes(4, "big")])
            yield data[: page * size] + header + data[page * size + len(header) :]


def test_pages_that_lead_in_circles_are_refused(library, attempts):
    name = "segments/000001.slices.sqlite"
    copies = list(pages_in_circles((library / name).read_bytes()))
    assert len(copies) >= 9
    for data in copies:
        replace_file(library, "segments.0.slices", name, data)
        lines = attempts(library)
        assert lines
        for line in lines:
            assert "000001.slices.sqlite" in line
            assert "is damaged: " in line
            assert len(line.splitlines()) == 1


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
def test_vectors_of_another_kind_are_refused(library, attempts, change):
    name = "segments/000001.vectors.faiss"
    replace_file(library, "segments.0.vectors", name, vectors_of(change))
    check_refused(library, attempts, name)


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
def test_an_index_that_names_other_rows_is_refused(library, attempts, change):
    name = "segments/000001.index.faiss"
    built = {"file": None, "kind": "IVF1,Flat", "parameters": {"nprobe": 1}, "curve": [], "seed": 0}
    put(library, "segments.0.index", built)
    replace_file(library, "segments.0.index.file", name, index_of(change))
    check_refused(library, attempts, name)


def links(graph):
    """The links of a graph, as they lie in memory."""
    return faiss.rev_swig_ptr(graph.neighbors.data(), graph.neighbors.size())


def lead_out(graph):
    """Let every link lead beyond the rows."""
    numbers = links(graph)
    numbers[numbers >= 0] = 10**9


def lead_down(graph):
    """Let the upper layer's links of the entry lead to the last row, which lies in the lowest layer alone."""
    first, end = faiss.vector_to_array(graph.cum_nneighbor_per_level)[graph.max_level : graph.max_level + 2]
    start = int(faiss.vector_to_array(graph.offsets)[graph.entry_point])
    links(graph)[start + first : start + end] = graph.levels.size() - 1


GRAPHS = {
    "links beyond the rows": lead_out,
    "links to a node of a lower layer": lead_down,
    "an entry beyond the rows": lambda graph: setattr(graph, "entry_point", 10**9),
    "no entry": lambda graph: setattr(graph, "entry_point", -1),
    "another entry": lambda graph: setattr(graph, "entry_point", graph.levels.size() - 1),
    "too many layers": lambda graph: setattr(graph, "max_level", 50),
    "one layer more": lambda graph: setattr(graph, "max_level", graph.max_level + 1),
}


@pytest.mark.parametrize("change", GRAPHS)
def test_a_graph_that_leads_out_of_its_vectors_is_refused(tmp_path, make_embeddings, attempts, change):
    vectors = np.random.default_rng(0).normal(size=(500, 8)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    library = Library.create(tmp_path / "library", "f" * 64, 8)
    library.add(make_embeddings({"a.mp4": vectors}))
    index = faiss.index_factory(8, "HNSW8", faiss.METRIC_INNER_PRODUCT)
    index.add(vectors)
    assert index.hnsw.max_level > 0
    assert faiss.vector_to_array(index.hnsw.levels)[-1] == 1
    GRAPHS[change](index.hnsw)
    built = {"file": None, "kind": "HNSW", "settings": {"links": 8}, "parameters": {"efSearch": 16}}
    put(library.path, "segments.0.index", built)
    name = "segments/000001.index.faiss"
    replace_file(library.path, "segments.0.index.file", name, faiss.serialize_index(index).tobytes())
    check_refused(library.path, attempts, name)


@pytest.mark.parametrize(
    ("built", "reason"),
    [
        ({"kind": "HNSW", "parameters": {"nprobe": 4}}, "parameters={'nprobe': 4}: are not those of HNSW"),
        ({"kind": "HNSW", "parameters": {}}, "parameters={}: are not those of HNSW"),
        ({"kind": "HNSW", "settings": {"lists": 4}}, "index.lists=4: HNSW has no such setting"),
        ({"kind": "IVF-Flat", "settings": {"lists": 0}}, "index.lists: Input should be greater"),
        ({"kind": "IVF-Flat", "parameters": {"nprobe": 4}}, "index.lists: Field required"),
        ({"kind": "tree"}, "index.name='tree': is not known; choose one of Flat, HNSW"),
        ({"kind": "HNSW" + "9" * 5000}, "Exceeds the limit"),
    ],
)
def test_an_index_of_odd_kind_settings_or_parameters_is_refused(library, built, reason):
    put(library, "segments.0.index", {"file": None, **built})
    replace_file(library, "segments.0.index.file", "segments/000001.index.faiss", b"")
    with pytest.raises(LibraryError) as refused:
        Library.open(library)
    assert str(refused.value).startswith(f"segment 000001: {reason}")
    assert len(str(refused.value).splitlines()) == 1


@pytest.mark.parametrize("data", [b"[]", b"{", b'{"a.mp4": 3}', b'{"a.mp4": {"camera": [1]}}', b"[" * 99999])
def test_edits_that_are_none_are_damage(library, data):
    replace_file(library, "attributes", "attributes/000002.json", data)
    (damage,) = Library.open(library).damage
    assert str(damage).startswith("attributes/000002.json is damaged: it holds no attributes by video: ")
