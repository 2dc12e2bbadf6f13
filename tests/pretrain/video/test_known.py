import os

import numpy as np

from sora_video.pretrain.video.inspect import inspect
from sora_video.pretrain.video.known import KnownVideos


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
