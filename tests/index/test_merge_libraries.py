"""Libraries that are merged, against one that is built of all their videos, and against FAISS."""

import dataclasses
import json
import shutil
from pathlib import Path

import faiss
import numpy as np
import pytest

from sora_video.base.errors import ConfigError, FingerprintError, LibraryError
from sora_video.index.library import Library
from sora_video.index.merge import merge_libraries
from sora_video.index.query import Query, without_times

DIM = 8
STORED = Path(__file__).parents[1] / "examples/0.1.0/library"


@pytest.fixture
def films(make_embeddings, random_vectors):
    """A function that makes the embeddings of some videos of 1 to 17 slices."""

    def make(numbers, version=0, **changes):
        held = {f"{n}.mp4": random_vectors(100 * version + n, 1 + 7 * n % 17, DIM) for n in numbers}
        return dataclasses.replace(make_embeddings(held), **changes)

    return make


@pytest.fixture
def library_of(tmp_path):
    """A function from a name and embeddings to a library."""

    def make(name, *tables, precision="fp32", **options):
        library = Library.create(tmp_path / name, tables[0].fingerprint, DIM, precision)
        for table in tables:
            library.add(table, **options)
        return library

    return make


def files_of(folder):
    """All files of a library with their bytes, but for the list of what was verified."""
    return {
        path.relative_to(folder): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name not in ("lock", "verified.json")
    }


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_merged_libraries_have_the_bytes_of_one_that_is_built_of_all(tmp_path, films, library_of, precision):
    parts = [films(range(9)), films(range(9, 11)), films(range(11, 30))]
    libraries = [library_of(str(n), part, precision=precision).path for n, part in enumerate(parts)]
    before = [files_of(library) for library in libraries]
    merged = merge_libraries(tmp_path / "merged", libraries)
    assert (merged.left_out, merged.ignored) == (0, 0)
    at_once = library_of("once", films(range(30)), precision=precision)
    assert files_of(merged.library.path) == files_of(at_once.path)
    assert [files_of(library) for library in libraries] == before


def test_hits_are_those_of_faiss_over_all_vectors(tmp_path, films, library_of, random_vectors):
    parts = [films(range(12)), films(range(12, 40))]
    libraries = [library_of(str(n), part) for n, part in enumerate(parts)]
    for library in libraries:
        library.add(films([90 + len(library)]))  # a segment of its own
    libraries[0].remove(["3.mp4", "4.mp4"])
    merged = merge_libraries(tmp_path / "merged", [library.path for library in libraries]).library
    tables = [library.embeddings(name) for library in libraries for name in library.videos()]
    flat = faiss.IndexFlatIP(DIM)
    flat.add(np.concatenate([table.vectors for table in tables]))
    owner = np.concatenate([table.video_id for table in tables])
    for vector in random_vectors(7, 20, DIM):
        cosines, rows = flat.search(vector[None], flat.ntotal)
        best = {}
        for name, cosine in zip(owner[rows[0]], cosines[0].tolist(), strict=True):
            best.setdefault(name, cosine)
        hits = merged.search(Query(without_times(vector[None], "f" * 64), top=5))
        assert [hit.video_id for hit in hits] == list(best)[:5]
        assert [hit.cosine for hit in hits] == pytest.approx(list(best.values())[:5], abs=1e-5)
    assert merged.verify().damage == ()


def test_attributes_folders_ids_and_models_are_kept(tmp_path, films, library_of):
    first = library_of("a", films([1, 2], root="/east"), attributes={"1.mp4": {"camera": 1}})
    first.set_attributes({"2.mp4": {"camera": 2}})
    second = library_of("b", films([3], root="/west"), films([4], root="/north"), model="package:x")
    merged = merge_libraries(tmp_path / "merged", [first.path, second.path]).library
    assert merged.list_videos() == sorted(
        [*first.list_videos(), *second.list_videos()], key=lambda video: video.video_id
    )
    assert merged.model == second.model
    for library, shift in ((first, 0), (second, len(first))):
        for name in library.videos():
            expected = library.slices(name).slice_id + shift
            assert merged.slices(name).slice_id.tolist() == expected.tolist()
    merged.add(films([5], root="/east"))
    assert merged.verify().damage == ()


def test_videos_of_older_libraries_remember_the_folder_of_these(tmp_path):
    shutil.copytree(STORED, tmp_path / "stored")
    merged = merge_libraries(tmp_path / "merged", [tmp_path / "stored"]).library
    expected = Library.open(tmp_path / "stored")
    assert merged.list_videos() == expected.list_videos()
    assert any(video.source for video in merged.list_videos())


def test_other_encoders_are_refused_with_both_fingerprints(tmp_path, films, library_of):
    first = library_of("a", films([1]))
    second = library_of("b", films([2], fingerprint="0" * 64))
    with pytest.raises(FingerprintError, match=r"b, named with .*a, has .* 0{12}, expected f{12}; .*migrate"):
        merge_libraries(tmp_path / "merged", [first.path, second.path])
    with pytest.raises(ConfigError, match="is named 2 times"):
        merge_libraries(tmp_path / "merged", [first.path, first.path])
    assert not (tmp_path / "merged").exists()


def test_videos_of_one_name_are_refused_unless_one_is_chosen(tmp_path, films, library_of):
    first, second = library_of("a", films([1, 2])), library_of("b", films([2, 3], version=1))
    both = [first.path, second.path]
    with pytest.raises(LibraryError, match=r"1 videos are in several, as 2\.mp4 in .*a and .*b; .*--keep"):
        merge_libraries(tmp_path / "merged", both)
    for keep, library in (("first", first), ("last", second)):
        merged = merge_libraries(tmp_path / keep, both, keep)
        assert (merged.left_out, merged.library.videos()) == (1, ["1.mp4", "2.mp4", "3.mp4"])
        kept = merged.library.embeddings("2.mp4").vectors
        assert np.array_equal(kept, library.embeddings("2.mp4").vectors)
        assert merged.library.verify().damage == ()
    first.remove("2.mp4")
    assert merge_libraries(tmp_path / "merged", both).left_out == 0


def test_what_one_library_ignores_is_left_out_of_all_and_of_later_additions(tmp_path, films, library_of):
    first, second = library_of("a", films([1, 2, 3])), library_of("b", films([4, 5]))
    renamed = films([2])
    renamed.video_id[:] = "renamed.mp4"  # the same content
    second.add(renamed)
    first.remove("2.mp4", purge=True, ignore=True)
    second.remove("5.mp4", ignore=True)
    first.remove("3.mp4", ignore=True)
    merged = merge_libraries(tmp_path / "merged", [first.path, second.path])
    assert (merged.ignored, merged.library.videos()) == (1, ["1.mp4", "4.mp4"])
    added = merged.library.add(films([2, 3, 5, 6]))
    assert (added.added, added.ignored) == (1, 3)
    assert "2.mp4" not in json.dumps([entry.name for entry in merged.library.ignored])
    merged.library.lift(["5.mp4", "2.mp4"])
    assert merged.library.add(films([2, 5])).added == 2


KILLED = """
import shutil, signal
import sklearn.covariance
from sora_video.index.merge import merge_libraries
root = Path(sys.argv[1])
for point in range(0, 1000, int(sys.argv[2])):
    path = root / "merged" / str(point)
    child = os.fork()
    if child == 0:
        left = point
        def watch(event, arguments):
            global left
            if event == "fcntl.flock" or any(str(root / "merged") in str(argument) for argument in arguments):
                if left == 0:
                    os.kill(os.getpid(), signal.SIGKILL)
                left -= 1
        sys.addaudithook(watch)
        merge_libraries(path, [root / "a", root / "b"])
        left = -1
        os._exit(0)
    if os.waitpid(child, 0)[1] == 0:
        break
print(point)
"""


def test_a_kill_at_any_point_leaves_no_library_or_the_whole(tmp_path, films, library_of, script):
    library_of("a", films(range(6)))
    library_of("b", films(range(6, 9)))
    expected = files_of(merge_libraries(tmp_path / "whole", [tmp_path / "a", tmp_path / "b"]).library.path)
    output, errors = script(KILLED, tmp_path, 3).communicate()
    assert errors == ""
    points = range(0, int(output) + 1, 3)
    assert len(points) > 3
    for point in points:
        path = tmp_path / "merged" / str(point)
        assert not path.exists() or files_of(path) == expected
        if not path.exists():
            merge_libraries(path, [tmp_path / "a", tmp_path / "b"])
    assert files_of(path) == expected
    assert [entry.name for entry in (tmp_path / "merged").iterdir() if entry.name.startswith(".")] == []
