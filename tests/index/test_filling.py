"""Libraries of videos that are embedded in several commits, against those of one."""

import shutil

import numpy as np
import pytest

from sora_video.base.errors import CorpusError, LibraryError
from sora_video.index.build import add_to_library, build_library
from sora_video.index.library import Library
from sora_video.pretrain.encoders import parts


@pytest.fixture
def _a_commit_a_video(monkeypatch):
    monkeypatch.setattr(parts, "GROUP_BYTES", 1)


@pytest.fixture(scope="module")
def at_once(tmp_path_factory, videos, tiny_run):
    """A library of all videos in one commit; not to be changed."""
    return build_library(tmp_path_factory.mktemp("once") / "library", videos, tiny_run.path).library


@pytest.fixture
def copied(tmp_path, videos):
    """The videos in a folder of the test's own."""
    return shutil.copytree(videos, tmp_path / "videos")


def check_equal(library, expected):
    """Both hold the same videos; ids of slices are given in the order in which videos are done."""
    assert library.videos() == expected.videos()
    assert library.verify().damage == ()
    for name in expected.videos():
        found, made = library.embeddings(name), expected.embeddings(name)
        assert np.allclose(found.vectors, made.vectors, rtol=0, atol=1e-6)
        assert np.array_equal(found.start_s, made.start_s)
    assert library.contents(library.videos()) == expected.contents(expected.videos())


def test_slices_of_one_commit_have_ids_in_the_order_of_the_corpus(at_once):
    first_ids = [at_once.slices(name).slice_id[0] for name in at_once.videos()]
    assert len(at_once.snapshot.segments) == 1
    assert first_ids == sorted(first_ids)


@pytest.mark.usefixtures("_a_commit_a_video")
def test_a_library_of_many_commits_holds_what_one_of_one_does(tmp_path, at_once, videos, tiny_run):
    change = build_library(tmp_path / "library", videos, tiny_run.path)
    assert change.added == (len(at_once.videos()), 0, 0, 0)
    assert len({change.library.slices(name).slice_id[0] for name in change.library.videos()}) == 8
    check_equal(Library.open(tmp_path / "library"), at_once)


@pytest.mark.usefixtures("_a_commit_a_video")
def test_what_is_unchanged_changed_new_and_unreadable_is_told_over_all_commits(
    tmp_path, at_once, copied, tiny_run
):
    library = build_library(tmp_path / "library", copied, tiny_run.path).library
    names = library.videos()
    (copied / names[0]).write_bytes((copied / names[1]).read_bytes())
    shutil.copy(copied / names[2], copied / "new.mp4")
    (copied / "broken.mp4").write_bytes(b"no video")
    manifest = tmp_path / "videos" / "all.csv"
    manifest.write_text(
        "path,place\n" + "".join(f"{name},home\n" for name in [*names, "new.mp4", "broken.mp4"])
    )
    change = add_to_library(library, manifest)
    assert change.added == (1, 1, 7, 0)
    assert [failure.video_id for failure in change.failures] == ["broken.mp4"]
    assert {change.library.attributes(name)["place"] for name in [*names, "new.mp4"]} == {"home"}
    assert np.allclose(
        library.embeddings(names[0]).vectors, at_once.embeddings(names[1]).vectors, rtol=0, atol=1e-6
    )


def test_of_nothing_readable_no_library_is_made_and_none_changes(tmp_path, at_once, tiny_run):
    broken = tmp_path / "broken" / "a.mp4"
    broken.parent.mkdir()
    broken.write_bytes(b"no video")
    with pytest.raises(CorpusError, match=r"none of 1 videos can be read"):
        build_library(tmp_path / "library", broken.parent, tiny_run.path)
    assert not (tmp_path / "library").exists()
    with pytest.raises(CorpusError, match=r"none of 1 videos can be read"):
        add_to_library(Library.open(at_once.path), broken.parent)
    assert Library.open(at_once.path).videos() == at_once.videos()


def test_an_attribute_that_cannot_be_kept_is_refused_before_anything_is_embedded(
    tmp_path, copied, tiny_run, capsys
):
    name = next(copied.rglob("*.mp4")).relative_to(copied)
    (copied / "all.csv").write_text(f"path,a=b\n{name},x\n")
    with pytest.raises(LibraryError, match="a=b"):
        build_library(tmp_path / "library", copied / "all.csv", tiny_run.path)
    assert "embed" not in capsys.readouterr().err
