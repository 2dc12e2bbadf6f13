"""A library on a bad disk: bytes that change, files that shrink or go, no space left."""

import json
from dataclasses import replace

import faiss
import numpy as np
import pytest

from sora_video.base.errors import LibraryError
from sora_video.index.library import Library
from sora_video.index.query import Query
from sora_video.index.store.files import store
from sora_video.index.store.manifest import BuiltIndex, write_manifest

FILES = [
    "segments/000001.vectors.faiss",
    "segments/000001.slices.sqlite",
    "segments/000001.index.faiss",
    "attributes/000004.json",
]


@pytest.fixture
def library(tmp_path, versions):
    """Two segments, the first of them with an approximate index, hidden videos and edited attributes."""
    made = Library.create(tmp_path / "library", "f" * 64, 8)
    made.add(versions({"a.mp4": 1, "b.mp4": 2, "c.mp4": 3}), attributes={"a.mp4": {"camera": 3}})
    made.add(versions({"d.mp4": 4}))
    made.remove("c.mp4")
    made.set_attributes({"a.mp4": {"camera": 4}, "d.mp4": {"camera": 4}})
    build_index(made)
    return Library.open(made.path)


def build_index(library):
    """Give the first segment an HNSW index."""
    snapshot = library._snapshot
    first, *rest = snapshot.manifest.segments
    index = faiss.index_factory(8, "HNSW8", faiss.METRIC_INNER_PRODUCT)
    index.add(snapshot.segments[0].read(np.arange(first.rows)))
    file = store(library.path, "segments/000001.index.faiss", faiss.serialize_index(index).tobytes())
    built = replace(first, index=BuiltIndex(file=file, kind="HNSW8", parameters={"efSearch": 16}))
    write_manifest(library.path, replace(snapshot.manifest, segments=(built, *rest)))


def answers(path, versions):
    """All that a reader can see."""
    opened = Library.open(path)
    query = versions({"a.mp4": 1, "b.mp4": 5})
    return opened.videos(), opened.info(), opened.search(Query(query)), opened.damage


def same_json(one, other):
    """Whether two texts say the same."""
    try:
        return json.loads(one) == json.loads(other)
    except ValueError:
        return False


def check_damaged(path, name, versions, before):
    """Assert that damage to one file is named, that what is whole is found, and that nothing else is."""
    videos, _, hits, damage = answers(path, versions)
    named = "000001" if name.startswith("segments") else None
    assert [(one.segment, one.file) for one in damage] == [(named, name)]
    assert "\n" not in str(damage[0])
    whole = name.startswith("attributes") or name.endswith("index.faiss")
    assert videos == (["a.mp4", "b.mp4", "d.mp4"] if whole else ["d.mp4"])
    assert hits == [hit for hit in before[2] if hit.video_id in videos]
    found = Library.open(path).verify()
    assert [(one.segment, one.file) for one in found.damage] == [(named, name)]


def test_a_changed_byte_of_the_manifest_is_an_error(library, versions):
    before, path = answers(library.path, versions), library.path / "manifest.json"
    whole = path.read_bytes()
    rng = np.random.default_rng(0)
    for place in rng.choice(len(whole), 60, replace=False):
        damaged = bytearray(whole)
        damaged[place] ^= int(rng.integers(1, 256))
        path.write_bytes(damaged)
        if same_json(damaged, whole):  # white space
            assert answers(library.path, versions) == before
            continue
        with pytest.raises(LibraryError, match=r"\A[^\n]*manifest\.json[^\n]*\Z"):
            answers(library.path, versions)


@pytest.mark.parametrize("name", FILES)
def test_a_changed_byte_never_changes_an_answer(library, versions, name):
    before, path = answers(library.path, versions), library.path / name
    whole = path.read_bytes()
    rng = np.random.default_rng(0)
    for place in rng.choice(len(whole), min(40, len(whole)), replace=False):
        damaged = bytearray(whole)
        damaged[place] ^= int(rng.integers(1, 256))
        path.write_bytes(damaged)
        check_damaged(library.path, name, versions, before)
    path.write_bytes(whole)
    assert answers(library.path, versions) == before


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("fraction", [0, 0.5, 0.99, 2, None])
def test_a_file_that_is_cut_grown_or_gone_is_named(library, versions, name, fraction):
    before, path = answers(library.path, versions), library.path / name
    whole = path.read_bytes()
    path.unlink()
    if fraction is not None:
        path.write_bytes((whole + whole)[: int(fraction * len(whole))])
    check_damaged(library.path, name, versions, before)


@pytest.mark.parametrize("name", FILES[:2])
def test_what_is_damaged_is_not_lost_silently(library, versions, name):
    (library.path / name).write_bytes(b"")
    opened = Library.open(library.path)
    manifest = (library.path / "manifest.json").read_bytes()
    acts = [opened.compact, lambda: opened.export(library.path / "all.parquet")]
    if name.endswith("sqlite"):  # it alone says which videos are held
        acts += [lambda: opened.add(versions({"e.mp4": 1})), lambda: opened.remove("d.mp4")]
        acts.append(lambda: opened.set_attributes({"d.mp4": {"camera": 5}}))
    for act in acts:
        with pytest.raises(LibraryError, match=rf"{name} of segment 000001 is damaged: 0 bytes, .*repair"):
            act()
    repaired = opened.repair()
    assert [one.file for one in repaired.left] == [name]
    assert (library.path / "manifest.json").read_bytes() == manifest


@pytest.mark.parametrize(("name", "lost"), [(FILES[0], ("a.mp4", "b.mp4")), (FILES[1], ())])
def test_repair_gives_a_segment_up_where_it_is_told_to(library, versions, name, lost):
    (library.path / name).unlink()
    opened = Library.open(library.path)
    assert opened.repair().lost == lost
    repaired = opened.repair(drop=opened.damage)
    assert [one.file for one in repaired.dropped] == [name]
    assert (repaired.lost, repaired.left, repaired.rebuilt) == (lost, (), ())
    for found in (opened, Library.open(library.path)):
        assert (found.videos(), found.damage, found.attributes("d.mp4")) == (["d.mp4"], (), {"camera": 4})
    opened.add(versions({"a.mp4": 1}))
    assert opened.attributes("a.mp4") == {}
    assert opened.verify().damage == ()


@pytest.mark.parametrize("later", [FILES[0], FILES[3]])
def test_repair_deletes_nothing_that_was_found_after_it_was_asked(library, later):
    (library.path / FILES[1]).unlink()
    shown = Library.open(library.path).repair().left
    (library.path / later).write_bytes(b"")
    manifest = (library.path / "manifest.json").read_bytes()
    opened = Library.open(library.path)
    with pytest.raises(LibraryError, match=rf"{later}.* was not listed for deletion, so nothing is"):
        opened.repair(drop=shown)
    assert (library.path / "manifest.json").read_bytes() == manifest
    assert {damage.file for damage in opened.repair(drop=opened.damage).dropped} == {FILES[1], later}
    assert Library.open(library.path).videos() == ["d.mp4"]


def test_repair_keeps_what_became_whole_after_it_was_asked(library, versions):
    before, path = answers(library.path, versions), library.path / FILES[0]
    whole = path.read_bytes()
    path.write_bytes(b"")
    shown = Library.open(library.path).repair().left
    path.write_bytes(whole)
    assert Library.open(library.path).repair(drop=shown).dropped == ()
    assert answers(library.path, versions) == before


def test_repair_builds_an_index_again(library, versions):
    before = answers(library.path, versions)
    (library.path / FILES[2]).write_bytes(b"not an index")
    repaired = Library.open(library.path).repair()
    assert (repaired.rebuilt, repaired.left, repaired.dropped) == (("000001",), (), ())
    assert answers(library.path, versions)[2:] == (before[2], ())
    assert Library.open(library.path).verify().recall == {"000001": 1.0}


def test_damaged_edits_are_never_taken_for_none(library, versions):
    (library.path / FILES[3]).unlink()
    opened = Library.open(library.path)
    assert len(opened.search(Query(versions({"a.mp4": 1})))) == 3
    for act in (lambda: opened.attributes("a.mp4"), lambda: opened.remove("a.mp4")):
        with pytest.raises(LibraryError, match=r"attributes/000004\.json is missing; see"):
            act()
    assert [one.file for one in opened.repair(drop=opened.damage).dropped] == [FILES[3]]
    assert Library.open(library.path).attributes("a.mp4") == {"camera": 3}


@pytest.mark.parametrize(
    "text", ["[]", "3", '{"format": "other"}', '{"format": "sora-video library"}', "[" * 99999]
)
def test_another_json_is_no_library(library, text):
    (library.path / "manifest.json").write_text(text)
    with pytest.raises(LibraryError, match=r"manifest\.json"):
        Library.open(library.path)


FULL = """
import resource
from sora_video.base.errors import StorageError
from sora_video.index.build import build_library
path, act, limit = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
rng = np.random.default_rng(0)
many = Embeddings(video_id=np.full(3000, "big.mp4", dtype=object), slice_no=np.arange(3000, dtype=np.int32),
    start_s=rng.random(3000), end_s=1 + rng.random(3000), vectors=np.full((3000, 16), 0.25, np.float32),
    fingerprint="f" * 64)
from sora_video.pretrain.encoders.embeddings import write_embeddings
write_embeddings(many, path.parent / "many.parquet")
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
try:
    if act == "add":
        Library.open(path).add(many)
    elif act == "remove":
        library = Library.open(path)
        library.remove(library.videos()[1:])
    else:
        build_library(path.parent / "built", path.parent / "many.parquet")
except StorageError as error:
    print(error)
"""


@pytest.fixture
def wide(tmp_path, make_embeddings):
    """A library with long names."""
    made = Library.create(tmp_path / "library", "f" * 64, 16)
    same = np.full((1, 16), 0.25)
    made.add(make_embeddings({f"{n:02d} {'long' * 30}.mp4": same for n in range(40)}))
    return made


@pytest.mark.parametrize(
    ("act", "limit", "refused"),
    [
        ("add", 170_000, "000002.vectors.faiss: File too large"),
        ("add", 20_000, "000002.slices.sqlite: disk I/O error"),
        ("remove", 4_000, "manifest.json: File too large"),
        ("build", 20_000, "000001.slices.sqlite: disk I/O error"),
        ("build", 100, "manifest.json: File too large"),
    ],
)
def test_a_full_disk_leaves_the_library_as_it_was(wide, script, act, limit, refused):
    before = (wide.path / "manifest.json").read_bytes()
    output, errors = script(FULL, wide.path, act, limit).communicate()
    assert errors == ""
    assert output.startswith("cannot write ")
    assert f"{refused}; free space" in output
    assert (wide.path / "manifest.json").read_bytes() == before
    assert sorted(entry.name for entry in wide.path.parent.iterdir()) == ["library", "many.parquet"]
    again = Library.open(wide.path)
    again.remove(again.videos()[0])
    assert len(again) == 39
    assert sorted(file.name for file in (wide.path / "segments").iterdir()) == [
        "000001.slices.sqlite",
        "000001.vectors.faiss",
    ]
