"""Folders whose files have the same names: no library loses a video of one because of another."""

import json
import shutil
from pathlib import Path

import pytest

import sora_video
from sora_video.base.errors import LibraryError
from sora_video.index.build import add_to_library, build_library
from sora_video.index.library import Library
from sora_video.index.store.video_source import VideoSource

STORED = Path(__file__).parents[1] / "examples" / "0.1.0"
NAMES = ["0001.mp4", "0002.mp4"]


@pytest.fixture
def cameras(tmp_path, videos):
    """Two folders of two files each, of the same names."""
    clips = sorted(videos.rglob("*.mp4"))
    for number, camera in enumerate(("cam1", "cam2")):
        (tmp_path / camera).mkdir()
        for name, clip in zip(NAMES, clips[2 * number :], strict=False):
            shutil.copy(clip, tmp_path / camera / name)
    return tmp_path


@pytest.fixture
def library(cameras, tiny_run):
    """A library of the first camera."""
    return build_library(cameras / "library", cameras / "cam1", tiny_run.path).library


def paths(library):
    """The file of each video."""
    return {video.video_id: video.path for video in Library.open(library.path).list_videos()}


def test_another_folder_with_the_same_names_is_refused_with_both_places(library, cameras):
    before = (library.path / "manifest.json").read_bytes()
    expected = (
        rf"2 names to add are taken by other videos, as 0001\.mp4: held from "
        rf"{cameras}/cam1/0001\.mp4, now from {cameras}/cam2/0001\.mp4; .*--prefix cam2, .*--replace"
    )
    with pytest.raises(LibraryError, match=expected):
        add_to_library(library, cameras / "cam2")
    assert (library.path / "manifest.json").read_bytes() == before
    assert add_to_library(library, cameras / "cam1").added[:3] == (0, 0, 2)


def test_a_prefix_keeps_both(library, cameras):
    assert add_to_library(library, cameras / "cam2", prefix="cam2/").added[:3] == (2, 0, 0)
    expected = {
        **{name: str(cameras / "cam1" / name) for name in NAMES},
        **{f"cam2/{name}": str(cameras / "cam2" / name) for name in NAMES},
    }
    assert paths(library) == expected
    library.set_attributes({"cam2/0001.mp4": {"camera": 2}})
    library.compact()
    library.export(cameras / "all.parquet")
    assert paths(library) == expected
    assert paths(Library.from_export(cameras / "again", cameras / "all.parquet")) == expected
    assert library.attributes("cam2/0001.mp4") == {"camera": 2}
    assert library.verify().damage == ()


def test_the_folder_above_names_the_same_files_as_a_prefix_does(library, cameras):
    add_to_library(library, cameras / "cam2", prefix="cam2")
    shutil.copy(cameras / "cam1/0001.mp4", cameras / "cam2/0001.mp4")
    told = add_to_library(library, [cameras / "cam2/0001.mp4", cameras / "cam1/0001.mp4"]).added
    assert (told.added, told.replaced) == (1, 1)  # cam1/0001.mp4 is a new name of that file


def test_replacing_is_possible_when_it_is_asked_for(library, cameras):
    assert add_to_library(library, cameras / "cam2", replace=True).added[:3] == (0, 2, 0)
    assert paths(library) == {name: str(cameras / "cam2" / name) for name in NAMES}


def test_a_changed_file_of_the_same_folder_is_replaced(library, cameras):
    shutil.copy(cameras / "cam2/0001.mp4", cameras / "cam1/0001.mp4")
    (cameras / "link").symlink_to(cameras / "cam1")
    assert add_to_library(library, cameras / "link").added[:3] == (0, 1, 1)


def test_a_folder_that_moved_is_no_clash_and_is_found_again(library, cameras):
    shutil.copytree(cameras / "cam1", cameras / "copy")
    assert add_to_library(library, cameras / "copy").added[:3] == (0, 0, 2)
    assert paths(library)["0001.mp4"] == str(cameras / "cam1/0001.mp4")
    (cameras / "cam1/0001.mp4").unlink()
    assert add_to_library(library, cameras / "copy").added[:3] == (0, 0, 2)
    assert paths(library) == {
        "0001.mp4": str(cameras / "copy/0001.mp4"),
        "0002.mp4": str(cameras / "cam1/0002.mp4"),
    }


def test_a_file_that_manifests_in_two_folders_name_is_one_video(library, cameras):
    for name in ("one", "two"):
        (cameras / name).mkdir()
        (cameras / name / "videos.csv").write_text(f"path\n{cameras}/cam2/0001.mp4\n")
    add_to_library(library, cameras / "one/videos.csv")
    shutil.copy(cameras / "cam1/0002.mp4", cameras / "cam2/0001.mp4")
    assert add_to_library(library, cameras / "two/videos.csv").added[:3] == (0, 1, 0)


@pytest.mark.parametrize("held_as_table", [False, True])
def test_tables_of_embeddings_know_their_folder(cameras, tiny_run, held_as_table):
    encoder = sora_video.load_encoder(tiny_run.path)
    for camera in ("cam1", "cam2"):
        sora_video.write_embeddings(encoder.embed(cameras / camera), cameras / f"{camera}.parquet")
    held = cameras / ("cam1.parquet" if held_as_table else "cam1")
    library = build_library(cameras / "library", held, tiny_run.path).library
    with pytest.raises(LibraryError, match=rf"now from {cameras}/cam2/0001\.mp4"):
        add_to_library(library, cameras / "cam2.parquet")
    assert add_to_library(library, cameras / "cam2.parquet", prefix="cam2").added[:3] == (2, 0, 0)
    assert paths(library)["cam2/0002.mp4"] == str(cameras / "cam2/0002.mp4")
    assert add_to_library(library, cameras / "cam1.parquet").added[0] == 0


def test_a_table_that_names_no_folder_replaces_nothing_of_a_folder(library, cameras, tiny_run):
    embeddings = sora_video.load_encoder(tiny_run.path).embed(cameras / "cam2")
    sora_video.write_embeddings(
        type(embeddings)(**{**vars(embeddings), "root": None}), cameras / "old.parquet"
    )
    with pytest.raises(LibraryError, match="now from a table that names no folder"):
        add_to_library(library, cameras / "old.parquet")


@pytest.mark.parametrize("prefix", ["/cam2", "../cam2", "a//b", "."])
def test_a_prefix_is_a_relative_folder(library, cameras, prefix):
    with pytest.raises(LibraryError, match=r"prefix '.*': must be a name"):
        add_to_library(library, cameras / "cam2", prefix=prefix)


def test_no_attribute_can_be_taken_for_a_source(library):
    with pytest.raises(LibraryError, match="'=root': is not a valid name"):
        library.set_attributes({"0001.mp4": {"=root": "/elsewhere"}})
    library.set_attributes({"0001.mp4": {"=root": None, "camera": 1}})
    assert library.sources(["0001.mp4"])["0001.mp4"] == VideoSource(str(library.path.parent / "cam1"))


def test_a_library_that_remembers_one_root_knows_its_videos_by_it(tmp_path, videos):
    shutil.copytree(STORED / "library", tmp_path / "library")
    library = Library.open(tmp_path / "library")
    root = json.loads((tmp_path / "library/manifest.json").read_text())["root"]
    name = library.videos()[0]
    assert paths(library)[name] == f"{root}/{name}"
    (tmp_path / "other" / name).parent.mkdir(parents=True)
    shutil.copy(next(videos.rglob("*.mp4")), tmp_path / "other" / name)
    with pytest.raises(LibraryError, match=f"held from {root}/"):
        add_to_library(library, tmp_path / "other", STORED / "run")
    told = add_to_library(library, tmp_path / "other", STORED / "run", prefix="new").added
    assert told.added == 1
    assert paths(library)[name] == f"{root}/{name}"
    assert paths(library)[f"new/{name}"] == str(tmp_path / "other" / name)


def test_the_command_line_adds_under_a_prefix_lists_and_draws_both(cameras, tiny_run, sora):
    library, page = cameras / "library", cameras / "page.html"
    assert sora("index", "build", library, cameras / "cam1", "--model", tiny_run.path)[0] == 0
    code, told = sora("index", "add", library, cameras / "cam2")
    assert code == 2
    assert "--prefix cam2" in told
    assert sora("index", "add", library, cameras / "cam2", "--prefix", "cam2")[0] == 0
    listed = json.loads(sora("index", "list", library, "--json")[1])
    assert {(video["video_id"], video["source"]) for video in listed} == {
        *((name, str(cameras / "cam1")) for name in NAMES),
        *((f"cam2/{name}", str(cameras / "cam2")) for name in NAMES),
    }
    assert sora("index", "attributes", library, "cam2/0001.mp4", "camera=2", "--json")[1].split() == [
        "{", '"camera":', "2", "}",
    ]  # fmt: skip
    assert "camera=2" in sora("index", "list", library)[1]
    assert sora("search", library, cameras / "cam2/0001.mp4", "--html", page)[0] == 0
    drawn = page.read_text(encoding="utf-8")
    assert "cam2/0001.mp4" in drawn
    assert "no frames" not in drawn
    assert "2 replaced" in sora("index", "add", library, cameras / "cam2", "--replace")[1]
