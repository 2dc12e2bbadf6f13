"""What is purged leaves no trace in the library's folder, and what was removed does not come back."""

import json
import shutil

import numpy as np
import pytest

from sora_video.base.errors import LibraryError
from sora_video.index.build import add_to_library, build_library
from sora_video.index.library import Library

NAME = "visitor 17.mp4"
PLACE = "Elm Street 5"


@pytest.fixture
def films(tmp_path, videos):
    """A folder of four videos, one of them private."""
    clips = sorted(videos.rglob("*.mp4"))
    (tmp_path / "films").mkdir()
    for name, clip in zip(["a.mp4", "b.mp4", NAME, "c.mp4"], clips, strict=False):
        shutil.copy(clip, tmp_path / "films" / name)
    return tmp_path / "films"


def traces(folder, texts, vectors):
    """Which texts and vectors stand anywhere in the names or bytes of the files of a folder."""
    wanted = {text: text.encode() for text in texts}
    for number, vector in enumerate(vectors):
        for kind in ("<f4", "<f2", "<f8"):
            wanted[f"vector {number} as {kind}"] = vector.astype(kind).tobytes()
    files = [path for path in folder.rglob("*") if path.is_file()]
    data = b"\n".join(str(path.relative_to(folder)).encode() + b"\n" + path.read_bytes() for path in files)
    return {name for name, sought in wanted.items() if sought in data}


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
@pytest.mark.parametrize("state", ["visible", "hidden", "replaced"])
def test_no_byte_of_a_purged_video_is_left(tmp_path, films, tiny_run, precision, state):
    library = build_library(tmp_path / "library", films, tiny_run.path, precision).library
    library.set_attributes({NAME: {"place": PLACE}, "a.mp4": {"place": "here"}})
    vectors, content = [*library.embeddings(NAME).vectors], library.contents([NAME])[NAME]
    (kept,) = {path.name for path in (library.path / "frames").iterdir()} - frames_of(films, NAME, tmp_path)
    if state == "hidden":
        library.remove(NAME, ignore=True)
    if state == "replaced":
        shutil.copy(films / "a.mp4", films / NAME)
        add_to_library(library, films)
        vectors += [*library.embeddings(NAME).vectors]
    texts = [NAME, content, kept]
    assert traces(library.path, texts, []) == set(texts)
    assert len(traces(library.path, [], vectors)) >= len(vectors) // 2
    others = {name: library.embeddings(name) for name in ("a.mp4", "b.mp4", "c.mp4")}

    library.remove(NAME, purge=True, ignore=True)

    if state == "replaced":
        vectors = vectors[: len(vectors) // 2]  # the others are those of a.mp4, too
    assert traces(library.path, [*texts, "visitor", PLACE], vectors) == set()
    again = Library.open(library.path)
    assert (again.videos(), again.verify().damage) == (sorted(others), ())
    for name, before in others.items():
        np.testing.assert_array_equal(again.embeddings(name).vectors, before.vectors)
    assert again.attributes("a.mp4") == {"place": "here"}
    assert (again.info().removed_videos, again.info().ignored_videos) == (0, 1)


def frames_of(films, name, place):
    """Names of the indexes of the frames of all films but one."""
    from sora_video.pretrain.video.kept import IndexStore

    return {IndexStore(place).file_of(path).name for path in films.iterdir() if path.name != name}


def test_what_was_removed_does_not_come_back_until_it_is_allowed_to(tmp_path, films, tiny_run):
    library = build_library(tmp_path / "library", films, tiny_run.path).library
    library.remove("b.mp4", ignore=True)
    library.remove(NAME, purge=True, ignore=True)
    (films / "again").mkdir()
    shutil.copy(films / NAME, films / "again" / "another name.mp4")
    assert add_to_library(library, films).added == (0, 0, 2, 3)
    assert library.videos() == ["a.mp4", "c.mp4"]
    shutil.copy(films / "a.mp4", films / NAME)
    assert add_to_library(library, films).added.ignored == 3
    assert [entry.name for entry in library.ignored] == ["b.mp4", None]
    with pytest.raises(LibraryError, match=r"z\.mp4 is not ignored; .*sora index ignored"):
        library.lift(["b.mp4", "z.mp4"])
    library.lift(["b.mp4", library.ignored[1].name_key[:12]])
    assert add_to_library(library, films).added == (3, 0, 2, 0)
    assert Library.open(library.path).ignored == ()


def test_rows_of_what_is_ignored_are_left_out_too(tmp_path, make_embeddings):
    library = Library.create(tmp_path / "library", "f" * 64, 4)
    rows = {"a.mp4": np.eye(4)[:2], "b.mp4": np.eye(4)[2:]}
    library.add(make_embeddings(rows))
    library.remove("a.mp4")
    assert library.add(make_embeddings(rows)) == (1, 0, 1, 0)
    library.remove("a.mp4", ignore=True)
    assert library.add(make_embeddings({**rows, "other.mp4": rows["a.mp4"]})) == (0, 0, 1, 2)


def test_a_library_can_be_purged_of_all_and_of_names_that_it_only_ignores(tmp_path, make_embeddings):
    library = Library.create(tmp_path / "library", "f" * 64, 4)
    library.add(make_embeddings({"a.mp4": np.eye(4)[:2], "b.mp4": np.eye(4)[2:]}))
    library.remove(["a.mp4", "b.mp4"], ignore=True)
    library.compact()
    before = library.ignored
    library.remove("a.mp4", purge=True, ignore=True)
    assert traces(library.path, ["a.mp4", "b.mp4"], []) == {"b.mp4"}
    assert [entry.content_key for entry in library.ignored] == [entry.content_key for entry in before]
    with pytest.raises(LibraryError, match=r"has no video a\.mp4"):
        library.remove("a.mp4", purge=True)


def test_the_command_line_purges_shows_and_lifts(tmp_path, films, tiny_run, sora):
    library = tmp_path / "library"
    assert sora("index", "build", library, films, "--model", tiny_run.path)[0] == 0
    assert sora("index", "remove", library, "b.mp4")[0] == 0
    info = json.loads(sora("index", "info", library, "--json")[1])
    assert (info["removed_videos"], info["ignored_videos"]) == (1, 1)
    assert info["removed_slices"] > 0
    assert sora("index", "remove", library, NAME, "--purge")[0] == 0
    shown = json.loads(sora("index", "ignored", library, "--json")[1])
    assert [entry["video_id"] for entry in shown] == ["b.mp4", None]
    assert "(purged)" in sora("index", "ignored", library)[1]
    assert "0 added, 0 replaced, 2 unchanged" in sora("index", "add", library, films)[1]
    assert sora("index", "ignored", library, "--lift", shown[1]["key"], "--lift", "b.mp4")[0] == 0
    assert "2 added" in sora("index", "add", library, films)[1]
    assert sora("index", "remove", library, "b.mp4", "--no-ignore")[0] == 0
    assert "1 added" in sora("index", "add", library, films)[1]


def test_listed_videos_pass_the_filters_of_a_search(tmp_path, films, tiny_run, sora):
    library = build_library(tmp_path / "library", films, tiny_run.path).library
    library.set_attributes({"a.mp4": {"camera": 1}, "c.mp4": {"camera": 3}})

    def listed(*where):
        words = [word for one in where for word in ("--where", one)]
        return [v["video_id"] for v in json.loads(sora("index", "list", library.path, "--json", *words)[1])]

    assert listed() == ["a.mp4", "b.mp4", "c.mp4", NAME]
    assert listed("camera>2") == ["c.mp4"]
    assert listed("videos=visitor*") == [NAME]
    assert listed("camera=1", "videos=c*") == listed("start_s=1000") == []
