"""Small segments are merged as they come, and many segments keep few files open."""

import json
import resource

import numpy as np
import pytest

from sora_video.index.library import Library
from sora_video.index.store import compact, table_opening
from sora_video.index.tune.target import Target

MANY = """
import resource
from sora_video.index.store import compact
path, videos, growth = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
_, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (64, hard))
compact.GROWTH = growth
library = Library.create(path, "f" * 64, 8)
for number in range(videos):
    library.add(versions({f"{number}.mp4": 0}), attributes={f"{number}.mp4": {"mark": number}})
    if number % 10 == 5:
        library.remove(f"{number - 1}.mp4")
        library.set_attributes({f"{number}.mp4": {"place": "here"}})
library = Library.open(path)
held = library._snapshot.find(library.videos())
ids = {name: int(library._snapshot.segments[held[name].segment_no].columns(
    np.array([held[name].entry.first_row])).slice_id[0]) for name in held}
print(json.dumps([library.info().segments, len(library.verify().damage), ids,
    {name: library.attributes(name) for name in held}]))
"""
FULL = """
import resource, signal
from sora_video.index.store import compact
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
library = Library.create(sys.argv[1], "f" * 64, 8)
vectors = np.tile(np.eye(8, dtype=np.float32), (100, 1))
_, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))  # as a disk that has room for no larger file
for number in range(compact.GROWTH + 2):
    rows = np.arange(len(vectors))
    name = np.full(len(rows), f"{number}.mp4", object)
    made = Embeddings(video_id=name, slice_no=rows.astype(np.int32), start_s=rows * 1.0, end_s=rows + 1.0,
        vectors=vectors, fingerprint="f" * 64)
    assert library.add(made).added == 1
    assert len(Library.open(sys.argv[1]).videos()) == number + 1
"""
GONE = {number for number in range(120) if number % 10 == 4}


def many(script, path, videos, growth):
    """Add videos one by one in a process that may open 64 files, and tell what the library holds."""
    output, errors = script(MANY, path, videos, growth).communicate()
    assert errors == ""
    return json.loads(output)


@pytest.mark.slow
def test_hundreds_of_adds_leave_few_segments(tmp_path, script):
    segments, damage, ids, attributes = many(script, tmp_path / "library", 120, compact.GROWTH)
    kept = [number for number in range(120) if number not in GONE]
    assert ids == {f"{number}.mp4": number for number in kept}
    here = {number: {"place": "here"} if number % 10 == 5 else {} for number in kept}
    assert attributes == {f"{number}.mp4": {"mark": number, **here[number]} for number in kept}
    assert (damage, segments <= 3 * compact.GROWTH) == (0, True)
    stored = len(list((tmp_path / "library/segments").iterdir()))
    assert stored == 2 * segments


@pytest.mark.slow
def test_an_add_stays_where_the_merge_after_it_finds_no_room(tmp_path, script):
    output, errors = script(FULL, tmp_path / "library").communicate()
    assert (output, errors) == ("", "")
    library = Library.open(tmp_path / "library")
    assert library.info().segments == compact.GROWTH + 2
    library.add(library.embeddings("0.mp4").select([0, 1]))
    assert library.info().segments == 1
    assert library.verify().damage == ()


def test_a_merge_keeps_the_whitening(tmp_path, versions):
    library = Library.create(tmp_path / "library", "f" * 64, 8)
    for number in range(3 * compact.GROWTH):
        library.add(versions({f"{number}.mp4": 0}))
        assert library.verify().damage == ()


@pytest.mark.slow
def test_a_library_of_many_segments_keeps_few_files_open(tmp_path, script):
    segments, damage, ids, _ = many(script, tmp_path / "library", 80, 1000)
    assert (segments, damage, len(ids)) == (72, 0, 72)


def test_large_tables_share_the_files_that_may_be_open(tmp_path, make_embeddings, monkeypatch):
    library = Library.create(tmp_path / "library", "f" * 64, 4)
    for name in "abc":
        library.add(make_embeddings({name: np.eye(4)}))
    monkeypatch.setattr(table_opening, "IN_MEMORY_BYTES", 0)
    monkeypatch.setattr(table_opening, "FILES_SHARE", resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 2)
    before = len(table_opening.ON_DISK)
    opened = Library.open(library.path)
    assert len(table_opening.ON_DISK) <= max(before, 2)
    assert opened.videos() == ["a", "b", "c"]


def test_a_segment_with_an_index_is_left_alone(tmp_path, make_embeddings):
    library = Library.create(tmp_path / "library", "f" * 64, 4)
    library.add(make_embeddings({"indexed": np.eye(4)}))
    library.tune(Target(recall=0.9))
    indexed = library._snapshot.manifest.segments[0]
    for number in range(20):
        library.add(make_embeddings({f"{number}": np.eye(4)}))
    assert library._snapshot.manifest.segments[0] == indexed
    assert library.info().segments < 10
    assert len(library) == 84
