"""Streams against random access to the same files."""

import http.server
import os
import threading
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from sora_video.base.errors import VideoError
from sora_video.configs.schema import PretrainConfig
from sora_video.configs.sections import SliceConfig
from sora_video.pretrain.video.corpus import open_corpus
from sora_video.pretrain.video.inspect import inspect
from sora_video.pretrain.video.pyav_frames import PyAVFrames
from sora_video.pretrain.video.read import picture_of, read_videos
from sora_video.pretrain.video.slices import cell_times, frames_at, slice_starts
from sora_video.pretrain.video.stream import VideoStream

SLICE = SliceConfig(size=40)


@pytest.fixture(scope="module")
def film(tmp_path_factory, write_video, moving_square):
    """A transport stream of 6.4 s at 25 frames a second, which can be read before it is whole."""
    return write_video(
        tmp_path_factory.mktemp("film") / "film.ts", moving_square(3, 160), options={"g": "10", "bf": "0"}
    )


def seen(source, config=SLICE, **options):
    """All slices of a stream."""
    return list(VideoStream(str(source), config, **options))


def check(slices, film, config=SLICE):
    """Slices are those of random access, of which the last, overlapping one is not looked at."""
    frames = PyAVFrames(film, inspect(film), picture_of(config))
    hop_s = config.hop_s or config.length_s
    starts = [
        one for one in slice_starts(frames.duration_s, config.length_s, hop_s) if one / hop_s % 1 < 1e-9
    ]
    assert [one.start_s for one in slices] == pytest.approx(starts)
    indices = frames_at(frames.times, cell_times(np.array(starts), config.frames, config.fps))
    expected = frames.frames(indices.ravel()).reshape(*indices.shape, config.size, config.size, 3)
    for one, pixels in zip(slices, expected, strict=True):
        np.testing.assert_array_equal(np.stack(one.frames), pixels)


@pytest.mark.parametrize(
    "config",
    [
        SLICE,
        SliceConfig(size=40, fps=30.0),
        SliceConfig(size=40, hop_s=0.5),
        SliceConfig(size=40, hop_s=2.0),
        SliceConfig(size=40, resize=44, interpolation="bilinear"),
    ],
    ids=["touching", "faster than the film", "overlapping", "apart", "cropped"],
)
def test_slices_are_those_of_random_access(film, config):
    check(seen(film, config), film, config)


def test_a_variable_rate_is_shown_as_it_is_played(tmp_path, write_video, moving_square):
    pts = np.cumsum(np.random.default_rng(0).integers(1, 9, 80)).tolist()
    path = write_video(tmp_path / "vfr.mkv", moving_square(1, 80), pts=pts)
    check(seen(path), path)


def test_a_film_shorter_than_a_slice_is_one_slice(tmp_path, write_video, moving_square):
    path = write_video(tmp_path / "short.mp4", moving_square(1, 10))
    (one,) = seen(path)
    assert one.end_s == pytest.approx(0.4)
    made = one.chunk().slices
    ((_, chunk),) = read_videos(open_corpus(path), PretrainConfig(slice=SLICE))
    assert made.lengths.tolist() == chunk.slices.lengths.tolist() == [3]
    np.testing.assert_array_equal(made.frames, chunk.slices.frames)


OTHERS = [
    SliceConfig(size=32, frames=6, fps=2.0),
    SliceConfig(size=32, frames=3, fps=6.0, resize=36),
    SliceConfig(size=32, frames=4, fps=4.0),
]
"""Slices of 3, 0.5 and 1 s beside those of 1 s."""


@pytest.mark.parametrize("count", [160, 63, 40, 20, 10])
def test_further_encoders_see_a_stream_as_they_see_its_file(count, tmp_path, write_video, moving_square):
    """At its end, too, where longer slices would reach beyond; and where it is shorter than they are."""
    path = write_video(tmp_path / "film.mp4", moving_square(2, count))
    config, *others = (PretrainConfig(slice=each) for each in (SLICE, *OTHERS))
    ((_, whole),) = read_videos(open_corpus(path), config, *others)
    streamed = [one.chunk() for one in VideoStream(str(path), SLICE, others=OTHERS)]
    assert len(streamed) == max(1, count // 25)
    for row, chunk in enumerate(streamed):
        assert (chunk.start_s, chunk.end_s) == (whole.start_s[row], pytest.approx(whole.end_s[row]))
        for number, slices in enumerate([whole.slices, *whole.joined]):
            seen = (chunk.slices, *chunk.joined)[number]
            np.testing.assert_array_equal(seen.frames[0], slices.frames[row])
            assert seen.lengths == slices.lengths[row]
        starts = [start_s[row] for start_s in whole.joined_start_s]
        np.testing.assert_allclose(np.concatenate(chunk.joined_start_s), starts, atol=1e-6)


def test_a_pipe_is_read_as_it_is_written(film, tmp_path):
    pipe = tmp_path / "pipe.ts"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_bytes, args=(film.read_bytes(),), daemon=True)
    writer.start()
    check(seen(pipe), film)
    writer.join()


def test_an_address_is_read(film):
    handler = partial(Quiet, directory=str(film.parent))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            check(seen(f"http://127.0.0.1:{server.server_port}/{film.name}"), film)
        finally:
            server.shutdown()


class Quiet(http.server.SimpleHTTPRequestHandler):
    """Serves files and says nothing."""

    def log_message(self, *_):
        pass


def test_a_file_that_grows_is_followed(film, tmp_path):
    """The second half is written after slices of the first have been seen."""
    data, growing = film.read_bytes(), tmp_path / "growing.ts"
    cut = len(data) // 2 // 188 * 188
    growing.write_bytes(data[:cut])
    stream = VideoStream(str(growing), SLICE, follow_s=1.0)
    slices = []
    for one in stream:
        slices.append(one)
        if len(slices) == 1:
            with growing.open("ab") as file:
                file.write(data[cut:])
    check(slices, film)
    assert stream.ended == "no data for 1 s"


def test_damage_in_the_middle_is_passed_over(film, tmp_path):
    data = bytearray(film.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 3000] = np.random.default_rng(0).bytes(3000)
    path = tmp_path / "damaged.ts"
    path.write_bytes(data)
    slices = seen(path)
    assert [one.start_s for one in slices] == [0, 1, 2, 3, 4, 5]


def test_a_clock_that_starts_anew_goes_on(film, tmp_path):
    path = tmp_path / "twice.ts"
    path.write_bytes(2 * film.read_bytes())
    starts = [one.start_s for one in seen(path)]
    assert starts == list(range(12))


@pytest.mark.parametrize("name", ["nothing.mp4", "text.mp4"])
def test_what_is_no_video_is_refused(tmp_path, name):
    (tmp_path / "text.mp4").write_text("no video")
    with pytest.raises(VideoError, match=name):
        seen(Path(tmp_path / name))


def test_what_is_kept_does_not_grow(film):
    config = SliceConfig(size=40, hop_s=0.25)
    stream = VideoStream(str(film), config)
    most = max(len(one.frames) for one in stream)
    assert most == config.frames
