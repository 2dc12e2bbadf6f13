"""Replacing, attributes, compaction, and what an add leaves alone."""

import hashlib

import faiss
import numpy as np
import pytest

from sora_video.base.errors import LibraryError
from sora_video.index.library import Library
from sora_video.index.query import Query
from sora_video.index.store import files
from sora_video.index.store.filters import Condition, Where

EYE = np.eye(4)


@pytest.fixture
def library(tmp_path, make_embeddings):
    made = Library.create(tmp_path / "library", "f" * 64, 4)
    made.add(make_embeddings({"a.mp4": EYE[:1], "b.mp4": EYE[1:3]}))
    return made


def ids(library, make_embeddings):
    return {hit.video_id: hit.slice_id for hit in library.search(Query(make_embeddings({"q": EYE})))}


def test_only_what_changed_is_replaced(library, make_embeddings):
    before = (library.path / "manifest.json").read_bytes()
    assert library.add(make_embeddings({"b.mp4": EYE[1:3], "a.mp4": EYE[:1]}))[:3] == (0, 0, 2)
    assert (library.path / "manifest.json").read_bytes() == before
    told = library.add(make_embeddings({"a.mp4": EYE[:1], "b.mp4": EYE[2:3], "c.mp4": EYE[3:]}))
    assert (told.added, told.replaced, told.unchanged) == (1, 1, 1)
    assert ids(library, make_embeddings) == {"a.mp4": 0, "b.mp4": 3, "c.mp4": 4}


def test_a_content_that_is_given_decides(library, make_embeddings):
    keys = {"a.mp4": "one", "c.mp4": "two"}
    assert library.add(make_embeddings({"a.mp4": EYE[:1], "c.mp4": EYE[3:]}), content=keys)[:3] == (1, 1, 0)
    assert library.contents(["a.mp4", "c.mp4", "z.mp4"]) == keys
    assert library.add(make_embeddings({"c.mp4": EYE[:2]}), content=keys)[:3] == (0, 0, 1)
    assert len(library.embeddings("c.mp4")) == 1


def test_times_are_content(library, make_embeddings):
    later = make_embeddings({"a.mp4": EYE[:1]})
    later.start_s[0] = 0.5
    assert library.add(later)[:3] == (0, 1, 0)


def test_attributes_are_kept_edited_and_taken_away(library, make_embeddings):
    library.set_attributes({"a.mp4": {"camera": 3, "place": "beach"}})
    library.set_attributes({"a.mp4": {"camera": None, "sunny": True}, "b.mp4": {"camera": 1}})
    for _ in range(2):
        again = Library.open(library.path)
        assert again.attributes("a.mp4") == {"place": "beach", "sunny": True}
        assert again.attributes("b.mp4") == {"camera": 1}
        library.compact()
    assert not list((library.path / "attributes").iterdir())
    library.add(make_embeddings({"a.mp4": EYE[1:]}), attributes={"a.mp4": {"camera": 2}, "b.mp4": {"x": "y"}})
    assert library.attributes("a.mp4") == {"place": "beach", "sunny": True, "camera": 2}
    assert library.attributes("b.mp4") == {"camera": 1, "x": "y"}
    library.remove("a.mp4")
    library.add(make_embeddings({"a.mp4": EYE[:1]}))
    assert library.attributes("a.mp4") == {}


@pytest.mark.parametrize("odd", [{"": 1}, {"a=b": 1}, {"videos": 1}, {"x": [1]}, {"x": float("nan")}])
def test_attributes_that_cannot_be_kept_are_refused(library, make_embeddings, odd):
    before = (library.path / "manifest.json").read_bytes()
    with pytest.raises(LibraryError, match=r"\Avideo a.mp4: attribute "):
        library.set_attributes({"a.mp4": odd})
    with pytest.raises(LibraryError, match=r"\Avideo a.mp4: attribute "):
        library.add(make_embeddings({"a.mp4": EYE[3:]}), attributes={"a.mp4": odd})
    assert (library.path / "manifest.json").read_bytes() == before


def test_compaction_merges_reclaims_and_keeps_ids(library, make_embeddings):
    for number in range(5):
        library.add(make_embeddings({f"{number}.mp4": EYE[: 1 + number % 2]}))
    library.remove(["b.mp4", "1.mp4"])
    before, size = ids(library, make_embeddings), library.info().bytes
    library.compact()
    info = library.info()
    assert (info.segments, info.removed_slices, ids(library, make_embeddings)) == (1, 0, before)
    assert info.bytes < size
    assert sum(file.stat().st_size for file in (library.path / "segments").iterdir()) == info.bytes
    manifest = (library.path / "manifest.json").read_bytes()
    library.compact()
    assert (library.path / "manifest.json").read_bytes() == manifest


def test_compaction_may_leave_large_segments_alone(library, make_embeddings):
    large = library._snapshot.manifest.segments[0]
    for number in range(3):
        library.add(make_embeddings({f"{number}.mp4": EYE[:1]}))
    library.compact(max_rows=2)
    assert library._snapshot.manifest.segments[0] == large
    assert [record.rows for record in library._snapshot.manifest.segments] == [3, 3]


@pytest.mark.parametrize("max_rows", [1, 2, 3, None])
def test_compaction_keeps_the_attributes_of_a_video_whose_older_copy_it_drops(
    library, make_embeddings, max_rows
):
    library.add(make_embeddings({"c.mp4": EYE[3:]}))
    library.add(make_embeddings({"a.mp4": EYE, "c.mp4": EYE}))  # the older copies are hidden
    library.add(make_embeddings({"d.mp4": EYE[:1]}))
    wanted = {name: {"camera": name} for name in library.videos()}
    library.set_attributes(wanted)
    library.compact(max_rows)
    again = Library.open(library.path)
    assert {name: again.attributes(name) for name in again.videos()} == wanted
    assert again.verify().damage == ()


def test_a_reader_outlives_compaction(library, make_embeddings):
    reader, before = Library.open(library.path), ids(library, make_embeddings)
    library.add(make_embeddings({"c.mp4": EYE[3:]}))
    library.compact()
    library.remove("a.mp4")
    assert ids(reader, make_embeddings) == before
    assert np.array_equal(reader.embeddings("b.mp4").vectors, EYE[1:3])


def test_half_precision_halves_the_vectors(tmp_path, make_embeddings, random_vectors):
    vectors, found = {"a": random_vectors(0, 300, 32), "b": random_vectors(1, 200, 32)}, {}
    for precision in ("fp32", "fp16"):
        library = Library.create(tmp_path / precision, "f" * 64, 32, precision)
        library.add(make_embeddings(vectors))
        found[precision] = library
    exact, half = (found[name]._snapshot.manifest.segments[0].vectors.size for name in ("fp32", "fp16"))
    assert (exact - 45) == 2 * (half - 81) == 500 * 32 * 4  # FAISS's headers aside
    read = found["fp16"].embeddings("b").vectors
    assert np.array_equal(read, vectors["b"].astype(np.float16).astype(np.float32))
    with pytest.raises(LibraryError, match="precision=int8: must be fp32 or fp16"):
        Library.create(tmp_path / "int8", "f" * 64, 32, "int8")


def test_vectors_are_what_faiss_writes(library, tmp_path):
    plain = faiss.IndexFlatIP(4)
    plain.add(EYE[:3].astype(np.float32))
    faiss.write_index(plain, str(tmp_path / "plain"))
    assert (library.path / "segments/000001.vectors.faiss").read_bytes() == (tmp_path / "plain").read_bytes()


@pytest.fixture
def hashed(monkeypatch):
    """The sizes of the files that were hashed; files are remembered however new they are."""
    sizes, digest = [], hashlib.file_digest

    def note(file, name):
        sizes.append(file.seek(0, 2))
        file.seek(0)
        return digest(file, name)

    monkeypatch.setattr(hashlib, "file_digest", note)
    monkeypatch.setattr(files, "TICK_NS", 0)
    return sizes


def test_a_large_file_is_hashed_once_until_it_is_touched(tmp_path, make_embeddings, random_vectors, hashed):
    library = Library.create(tmp_path / "library", "f" * 64, 512)
    library.add(make_embeddings({"a": random_vectors(0, 600, 512), "b": random_vectors(1, 1, 512)}))
    Library.open(library.path)
    large = max(hashed)
    assert large > files.REMEMBERED_BYTES
    hashed.clear()
    library.add(make_embeddings({"b": random_vectors(2, 1, 512), "c": random_vectors(3, 1, 512)}))
    Library.open(library.path)
    assert large not in hashed
    assert Library.open(library.path).verify().damage == ()
    assert large in hashed
    path = library.path / "segments/000001.vectors.faiss"
    with path.open("r+b") as file:
        file.seek(1000)
        file.write(b"x")
    assert [one.file for one in Library.open(library.path).damage] == ["segments/000001.vectors.faiss"]
    (library.path / "verified.json").write_text("[")
    assert [one.file for one in Library.open(library.path).damage] == ["segments/000001.vectors.faiss"]


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        (Where(), "a0 b0 b1"),
        (Where(attributes={"camera": 3}), "a0"),
        (Where(attributes={"camera": "3", "place": "x"}), ""),
        (Where(attributes={"place": "beach, left"}), "b0 b1"),
        (Where(attributes={"sunny": "true"}), "b0 b1"),
        (Where(attributes={"sunny": 1}), ""),
        (Where(videos="b*"), "b0 b1"),
        (Where(conditions=(Condition("camera", ">", 2),)), "a0"),
        (Where(conditions=(Condition("camera", ">", 2), Condition("camera", "<", 3))), ""),
        (Where(conditions=(Condition("camera", "<", "1"),)), ""),
        (Where(conditions=(Condition("camera", "<", "a"),)), "b0 b1"),
        (Where(conditions=(Condition("camera", "!=", "3"),)), "b0 b1"),
        (Where(conditions=(Condition('odd "name', "<=", "beach"),)), "a0"),
        (Where(conditions=(Condition("place", "!=", "beach, left"),)), "a0"),
        (Where(attributes={"sunny": True}, conditions=(Condition("place", ">", "beach"),)), "b0 b1"),
        (Where(start_s=1), "b1"),
        (Where(end_s=2.5), "a0 b0"),
        (Where(videos="?.mp4", start_s=1, attributes={"sunny": True}), "b1"),
    ],
)
@pytest.mark.parametrize("compacted", [False, True])
def test_a_filter_lets_through_what_it_says(library, where, expected, compacted):
    library.set_attributes({"a.mp4": {"camera": 3, 'odd "name': "beach"}})
    library.set_attributes({"b.mp4": {"camera": "03", "place": "beach, left", "sunny": True}})
    if compacted:
        library.compact()
    (segment,) = library._snapshot.segments
    found = np.flatnonzero(segment.matching(where, library._snapshot.edited))
    numbers = segment.columns(found).slice_no
    names = [segment.videos[number][0] for number in segment.video_of(found)]
    assert " ".join(f"{name}{number}" for name, number in zip(names, numbers, strict=True)) == expected


@pytest.mark.parametrize("compacted", [False, True])
def test_what_has_no_order_is_refused_by_name(library, make_embeddings, compacted):
    library.set_attributes({"a.mp4": {"camera": 3, "mixed": 1}, "b.mp4": {"mixed": "left"}})
    if compacted:
        library.compact()

    def found(*conditions):
        where = Where(conditions=conditions)
        hits = library.search(Query(make_embeddings({"q": EYE[:1]}), where=where))
        return sorted(hit.video_id for hit in hits)

    message = (
        r"where camera<2026-01-01: '2026-01-01' is a date, but camera is a number \(3 of a.mp4\); compare it "
        "with one, or write != or =; dates are in order as 2026-01-31"
    )
    with pytest.raises(LibraryError, match=message):
        found(Condition("camera", "<", "2026-01-01"))
    library.set_attributes({"b.mp4": {"mixed": 2}})
    with pytest.raises(LibraryError, match="where mixed"):
        found(Condition("mixed", ">", "left"))
    library.set_attributes({"b.mp4": {"mixed": "left"}})
    assert found(Condition("mixed", ">", 0)) == ["a.mp4"]
    assert found(Condition("mixed", ">", "a")) == ["b.mp4"]
    assert found(Condition("nowhere", ">", "a")) == []
    assert found(Condition("nowhere", "!=", "a")) == ["a.mp4", "b.mp4"]


@pytest.mark.parametrize("by", ["edit", "add"])
def test_one_and_true_are_different_attributes(tmp_path, make_embeddings, by):
    library = Library.create(tmp_path / "library", "f" * 64, 4)
    film = make_embeddings({"a.mp4": np.eye(4)[:1]})
    library.add(film, attributes={"a.mp4": {"lit": 1}})
    for value in (True, 1, True):
        if by == "edit":
            library.set_attributes({"a.mp4": {"lit": value}})
        else:
            library.add(film, attributes={"a.mp4": {"lit": value}})
        assert Library.open(library.path).attributes("a.mp4")["lit"] is value


def test_dropping_a_segment_drops_the_edits_of_its_videos_only(library, make_embeddings):
    library.add(make_embeddings({"a.mp4": EYE}))  # its older copy is hidden in the first segment
    library.set_attributes({"a.mp4": {"camera": 1}, "b.mp4": {"camera": 2}})
    (library.path / "segments/000002.vectors.faiss").unlink()
    again = Library.open(library.path)
    assert again.repair(drop=again.damage).lost == ("a.mp4",)
    assert (again.attributes("b.mp4"), again.verify().damage) == ({"camera": 2}, ())
