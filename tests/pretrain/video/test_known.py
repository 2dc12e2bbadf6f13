import os
from dataclasses import fields

import numpy as np
import pytest

from sora_video.pretrain.video.decode import open_video
from sora_video.pretrain.video.decord_frames import DecordFrames
from sora_video.pretrain.video.inspect import inspect
from sora_video.pretrain.video.kept import IndexStore
from sora_video.pretrain.video.known import KNOWN, KnownVideos


def test_a_video_is_probed_once_until_it_changes(tmp_path, write_video, grey_ramp):
    path = write_video(tmp_path / "a.mp4", grey_ramp(np.arange(10) / 25))
    known = KnownVideos(1000)
    first = known.inspect(path)
    np.testing.assert_array_equal(first.times, inspect(path).times)
    assert known.inspect(path) is first
    write_video(path, grey_ramp(np.arange(20) / 25))
    os.utime(path, ns=(1, 1))
    assert len(known.inspect(path).times) == 20


def test_the_longest_unused_is_forgotten_first(tmp_path, write_video, grey_ramp):
    paths = [write_video(tmp_path / f"{name}.mp4", grey_ramp(np.arange(10) / 25)) for name in "abc"]
    known = KnownVideos(25)
    first, second = (known.inspect(path) for path in paths[:2])
    assert known.inspect(paths[0]) is first
    known.inspect(paths[2])
    assert known.inspect(paths[0]) is first
    assert known.inspect(paths[1]) is not second
    assert known.room >= 0


def test_a_video_that_is_longer_than_all_room_is_still_read(tmp_path, write_video, grey_ramp):
    path = write_video(tmp_path / "a.mp4", grey_ramp(np.arange(10) / 25))
    known = KnownVideos(3)
    assert len(known.inspect(path).times) == 10
    assert known.inspect(path) is known.inspect(path)


def read_both(path, folder):
    """An index as it is made, and as another process finds it."""
    made, found = KnownVideos(1000), KnownVideos(1000)
    made.keep_in(folder)
    found.keep_in(folder)
    return made.inspect(path), found.inspect(path)


def test_an_index_is_kept_by_content(tmp_path, write_video, grey_ramp):
    path = write_video(tmp_path / "a.mp4", grey_ramp(np.arange(10) / 25))
    first, second = read_both(path, tmp_path / "kept")
    for name in (field.name for field in fields(first)):
        np.testing.assert_equal(getattr(second, name), getattr(first, name))
    assert len(list((tmp_path / "kept").iterdir())) == 1
    copy = tmp_path / "copy.mp4"
    copy.write_bytes(path.read_bytes())
    os.utime(copy, ns=(1, 1))
    store = IndexStore(tmp_path / "kept")
    assert len(store.find(copy).times) == 10
    contents = bytearray(path.read_bytes())
    contents[len(contents) // 3] ^= 1
    copy.write_bytes(contents)
    assert store.find(copy) is None


def test_a_verdict_is_kept_with_the_index(tmp_path, write_video, grey_ramp):
    path = write_video(tmp_path / "a.mp4", grey_ramp(np.arange(10) / 25))
    KNOWN.keep_in(tmp_path / "kept")
    try:
        assert isinstance(open_video(path, (64, 64)), DecordFrames)
    finally:
        KNOWN.keep_in(None)
    assert IndexStore(tmp_path / "kept").find(path).verdicts == {"decord": True}


@pytest.mark.parametrize("contents", [b"", b"no archive", None], ids=["empty", "other", "cut off"])
def test_a_damaged_index_is_made_anew(tmp_path, write_video, grey_ramp, contents):
    path = write_video(tmp_path / "a.mp4", grey_ramp(np.arange(10) / 25))
    read_both(path, tmp_path / "kept")
    (stored,) = (tmp_path / "kept").iterdir()
    stored.write_bytes(stored.read_bytes()[:-100] if contents is None else contents)
    assert len(read_both(path, tmp_path / "kept")[1].times) == 10
    assert IndexStore(tmp_path / "kept").find(path) is not None


def test_a_folder_that_cannot_be_written_keeps_nothing(tmp_path, write_video, grey_ramp):
    path = write_video(tmp_path / "a.mp4", grey_ramp(np.arange(10) / 25))
    (tmp_path / "kept").write_text("a file in its place")
    assert len(read_both(path, tmp_path / "kept")[1].times) == 10


def test_the_longest_unused_indexes_are_deleted(tmp_path, write_video, grey_ramp):
    store, paths = IndexStore(tmp_path / "kept"), []
    for count in (10, 11, 12):
        paths.append(write_video(tmp_path / f"{count}.mp4", grey_ramp(np.arange(count) / 25)))
        store.keep(paths[-1], inspect(paths[-1]))
        os.utime(store.file_of(paths[-1]), ns=(count, count))
    assert store.find(paths[0]) is not None  # used now
    store.trim(2 * max(store.file_of(path).stat().st_size for path in paths))
    assert [store.find(path) is not None for path in paths] == [True, False, True]
    store.trim(0)
    assert list((tmp_path / "kept").iterdir()) == []
