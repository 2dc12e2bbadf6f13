"""What a library keeps of its videos' frames, and what becomes of it."""

import shutil

import numpy as np
import pytest

from sora_video.index.build import add_to_library, build_library
from sora_video.index.library import Library
from sora_video.index.search.gallery import strip
from sora_video.index.store.place import FRAMES
from sora_video.index.verify import verify
from sora_video.pretrain.video.kept import IndexStore
from sora_video.pretrain.video.strip import frame_strip


@pytest.fixture(scope="module")
def built(tmp_path_factory, videos, tiny_run):
    """A library of four videos; not to be changed."""
    folder = tmp_path_factory.mktemp("built")
    shutil.copytree(videos / "even", folder / "videos")
    build_library(folder / "library", folder / "videos", tiny_run.path)
    return folder


@pytest.fixture
def copied(built, tmp_path):
    """A copy of it, moved to another place."""
    shutil.copytree(built, tmp_path / "moved")
    return tmp_path / "moved"


def kept(folder):
    return {path.name: path.stat().st_ino for path in (folder / "library" / FRAMES).iterdir()}


def test_each_file_is_indexed_once_and_what_is_new_is_added(copied, write_video, moving_square, tiny_run):
    before = kept(copied)
    assert len(before) == len(list((copied / "videos").iterdir()))
    write_video(copied / "videos/new.mp4", moving_square(3, 30))
    change = add_to_library(Library.open(copied / "library"), copied / "videos", tiny_run.path)
    assert change.added.added == 1
    assert before.items() < kept(copied).items()
    assert len(kept(copied)) == len(before) + 1


def test_pages_look_up_what_is_kept(copied):
    """An index that says something else of the file shows that it is the one that is used."""
    video, store = copied / "videos/clip 0.mp4", IndexStore(copied / "library" / FRAMES)
    same = shutil.copy(video, copied / "same.mp4")  # which no reader remembers
    info = store.find(video)
    info.times[1:] += 1000.0
    store.keep(video, info)
    changed = strip(video, "found", 0, 2, indexes=store.folder)
    assert changed.image == frame_strip(video, 0, 0.001)  # the first picture for all that time
    assert changed.image != strip(same, "found", 0, 2).image


def test_a_library_is_whole_without_them(copied, tmp_path):
    library = Library.open(copied / "library")
    vectors = library.embeddings("clip 0.mp4").vectors
    (copied / "library" / FRAMES / "stray.npz").write_bytes(b"no index")
    assert verify(library.path).damage == ()
    library.repair()
    library.compact()
    assert (copied / "library" / FRAMES / "stray.npz").exists()
    library.export(tmp_path / "all.parquet")
    shutil.rmtree(copied / "library" / FRAMES)
    assert verify(library.path).damage == ()
    exported = Library.from_export(tmp_path / "again", tmp_path / "all.parquet")
    np.testing.assert_array_equal(exported.embeddings("clip 0.mp4").vectors, vectors)


def test_a_folder_that_cannot_be_written_is_read(copied):
    video, folder = copied / "videos/clip 0.mp4", copied / "library" / FRAMES
    expected = strip(video, "found", 0, 1).image
    folder.chmod(0o500)
    try:
        assert strip(video, "found", 0, 1, indexes=folder).image == expected
    finally:
        folder.chmod(0o700)
