"""A library on a bad disk: bytes that change, files that shrink or go, no space left."""

import json

import numpy as np
import pytest

from sora_video.configs.errors import LibraryError
from sora_video.index.library import Library

FILES = ["manifest.json", "segments/000001.faiss", "segments/000001.parquet"]


@pytest.fixture
def library(tmp_path, versions):
    made = Library.create(tmp_path / "library", "f" * 64, 8)
    made.add(versions({"a.mp4": 1, "b.mp4": 2, "c.mp4": 3}))
    made.remove("c.mp4")
    return made


def answers(path, versions):
    """All that a reader can see."""
    opened = Library.open(path)
    return opened.videos(), opened.info(), opened.search(versions({"a.mp4": 1, "b.mp4": 5}))


def same_json(one, other):
    """Whether two texts say the same."""
    try:
        return json.loads(one) == json.loads(other)
    except ValueError:
        return False


@pytest.mark.parametrize("name", FILES)
def test_a_changed_byte_never_changes_an_answer(library, versions, name):
    before, path = answers(library.path, versions), library.path / name
    whole = path.read_bytes()
    rng = np.random.default_rng(0)
    for place in rng.choice(len(whole), 60, replace=False):
        damaged = bytearray(whole)
        damaged[place] ^= int(rng.integers(1, 256))
        path.write_bytes(damaged)
        if name == "manifest.json" and same_json(damaged, whole):  # white space
            assert answers(library.path, versions) == before
            continue
        with pytest.raises(LibraryError, match=rf"\A[^\n]*{path.name}[^\n]*\Z"):
            answers(library.path, versions)


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("fraction", [0, 0.5, 0.99, 2, None])
def test_a_file_that_is_cut_grown_or_gone_is_named(library, versions, name, fraction):
    path = library.path / name
    whole = path.read_bytes()
    path.unlink()
    if fraction is not None:
        path.write_bytes((whole + whole)[: int(fraction * len(whole))])
    with pytest.raises(LibraryError, match=path.name):
        answers(library.path, versions)


@pytest.mark.parametrize(
    "text", ["[]", "3", '{"format": "other"}', '{"format": "sora-video library"}', "[" * 99999]
)
def test_another_json_is_no_library(library, text):
    (library.path / "manifest.json").write_text(text)
    with pytest.raises(LibraryError, match=r"manifest\.json"):
        Library.open(library.path)


FULL = """
import resource
from sora_video.configs.errors import StorageError
from sora_video.index.build import build_library
path, act, limit = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
rng = np.random.default_rng(0)
many = Embeddings(video_id=np.full(3000, "big.mp4", dtype=object), slice_no=np.arange(3000, dtype=np.int32),
    start_s=rng.random(3000), end_s=rng.random(3000), vectors=np.ones((3000, 1), np.float32),
    fingerprint="f" * 64)
from sora_video.pretrain.embeddings import write_embeddings
write_embeddings(many, path.parent / "many.parquet")
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
try:
    if act == "add":
        Library.open(path).add(many)
    elif act == "remove":
        library = Library.open(path)
        library.remove(library.videos())
    else:
        build_library(path.parent / "built", path.parent / "many.parquet")
except StorageError as error:
    print(error)
"""


@pytest.fixture
def wide(tmp_path, make_embeddings):
    """A library with vectors of one number and long names."""
    made = Library.create(tmp_path / "library", "f" * 64, 1)
    made.add(make_embeddings({f"{n:02d} {'long' * 30}.mp4": np.ones((1, 1)) for n in range(40)}))
    return made


@pytest.mark.parametrize(
    ("act", "limit", "refused"),
    [
        ("add", 6_000, "000002.faiss"),
        ("add", 20_000, "000002.parquet"),
        ("remove", 2_000, "manifest.json"),
        ("build", 20_000, "000001.parquet"),
        ("build", 100, "manifest.json"),
    ],
)
def test_a_full_disk_leaves_the_library_as_it_was(wide, script, act, limit, refused):
    before = (wide.path / "manifest.json").read_bytes()
    output, errors = script(FULL, wide.path, act, limit).communicate()
    assert errors == ""
    assert output.startswith("cannot write ")
    assert f"{refused}: File too large; free space" in output
    assert (wide.path / "manifest.json").read_bytes() == before
    assert sorted(entry.name for entry in wide.path.parent.iterdir()) == ["library", "many.parquet"]
    again = Library.open(wide.path)
    again.remove(again.videos()[0])
    assert len(again) == 39
    assert sorted(file.name for file in (wide.path / "segments").iterdir()) == [
        "000001.faiss",
        "000001.parquet",
    ]
